"""MMMU: multiple choice and open questions of thirty subjects.

Rule of InternVL at tag v1.2.2, `evaluate_mmmu.py` and `main_eval_only.py`: a letter as in `choice`, an open answer by
the authors' rules. The authors also read letters elsewhere and draw one at random where they find none:
`accuracy_official` reads as they do and counts such an answer as wrong, `accuracy_official_expected` is what drawing
gives on average. `accuracy_corrected` reads letters strictly.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from evaluate.scorer import Scores
from evaluate.scorers.choice import Options, average, read_letter, read_letter_strictly
from evaluate.scorers.open_answer import Value, find_tails, matches_any, read_number

DOMAINS = {
    "Art and Design": ("Art", "Art_Theory", "Design", "Music"),
    "Business": ("Accounting", "Economics", "Finance", "Manage", "Marketing"),
    "Science": ("Biology", "Chemistry", "Geography", "Math", "Physics"),
    "Health and Medicine": (
        *("Basic_Medical_Science", "Clinical_Medicine", "Diagnostics_and_Laboratory_Medicine", "Pharmacy"),
        "Public_Health",
    ),
    "Humanities and Social Science": ("History", "Literature", "Sociology", "Psychology"),
    "Tech and Engineering": (
        *("Agriculture", "Architecture_and_Engineering", "Computer_Science", "Electronics", "Energy_and_Power"),
        *("Materials", "Mechanical_Engineering"),
    ),
}
SUBJECTS = tuple(sorted(subject for subjects in DOMAINS.values() for subject in subjects))
_DOMAIN_OF = {subject: domain for domain, subjects in DOMAINS.items() for subject in subjects}

_MARKS = ("could be ", "so ", "is ", "thus ", "therefore ", "final ", "answer ", "result ")
_LAST_MARKS = ("=",)
_NO_ANSWER = ":,.!?;'"
# No number begins inside a run of digits: where a run does not fit, its rest does not either, and long ones are quick.
_NUMBERS = (
    re.compile(r"-?\b\d{1,3}(?:,\d{3})+\b"),
    re.compile(r"-?(?<!\d)\d+(?:\.\d+)?[eE][+-]?\d+"),
    re.compile(r"-?(?:(?<!\d)\d+\.\d+|\.\d+|(?<!\d)\d+\b)(?![eE][+-]?\d+)(?![,\d])"),
)
_LEAST_WORDS = 6
"""In a shorter answer the authors do not look for the text of an option."""


@dataclass(frozen=True, slots=True)
class MmmuTarget:
    """Accepted answers, the options (none for an open question), and the subject."""

    answers: tuple[str, ...]
    options: Options
    subject: str


def find_numbers(text: str) -> list[str]:
    """Numbers with commas, with exponents, and plain ones, in this order.

    Example:
        >>> find_numbers("1,234 and 5.6")
        ['1,234', '234', '5.6']
    """
    return [number for pattern in _NUMBERS for number in pattern.findall(text)]


def normalize(text: str) -> list[Value]:
    """A number with two decimals, or the text in lower case; one letter must have a space at one side.

    Example:
        >>> normalize("1,200"), normalize("Apple"), normalize("B")
        ([1200.0], ['apple'], [' b', 'b '])
    """
    text = text.strip()
    number = read_number(text)
    if number is not None:
        return [number]
    text = text.lower()
    return [f" {text}", f"{text} "] if len(text) == 1 else [text]


def read_open(text: str) -> set[Value]:
    """All that an open answer may mean.

    Example:
        >>> sorted(read_open("The voltage is 5 V. So the answer is 10 V"), key=str)
        ['10 v', 10.0]
    """
    text = text.strip().strip(".").lower()
    # The published pattern also means to split sentences, by a capital letter that is not there any more.
    tails = find_tails(text.split("\n"), _MARKS, _LAST_MARKS, _NO_ANSWER) or [text]
    parts = [*tails, *(number for tail in tails for number in find_numbers(tail))]
    return {value for part in parts for value in normalize(part)}


def score_open(text: str, answers: Sequence[str]) -> bool:
    """Whether an open answer means an accepted one.

    Example:
        >>> score_open("It is dark red.", ["Red"]), score_open("20", ["20%"])
        (True, False)
    """
    return matches_any(read_open(text), [value for answer in answers for value in normalize(answer)])


def read_official_letter(text: str, options: Options) -> str | None:
    """The authors' reading of a letter: the last in brackets, or between spaces, or the last option's text.

    Example:
        >>> options = {"A": "Maine", "B": "Ohio"}
        >>> [read_official_letter(text, options) for text in ("(A) or (B)", "not B but A", "it is Ohio")]
        ['B', 'A', None]
    """
    for mark in ",.!?;:'":
        text = text.strip(mark)
    text = f" {text} "
    lower = text.lower()
    places = {name: text.rfind(f"({name})") for name in options}
    if max(places.values(), default=-1) < 0:
        places = {name: text.rfind(f" {name} ") for name in options}
    if max(places.values(), default=-1) < 0 and len(text.split()) >= _LEAST_WORDS:
        places = {name: lower.rfind(option.lower()) for name, option in options.items()}
    name = max(places, key=lambda name: places[name], default=None)
    return name if name is not None and places[name] >= 0 else None


@dataclass(frozen=True, slots=True)
class MmmuScorer:
    """Accuracy in percent over all questions, also per subject and per domain."""

    name: str = "mmmu"
    primary: str = "accuracy"
    higher_is_better: bool = True

    def __call__(self, predictions: Sequence[str], targets: Sequence[MmmuTarget]) -> Scores:
        """Score all answers."""
        samples: list[float] = []
        strict: list[float] = []
        official: list[float] = []
        expected: list[float] = []
        unparsed = 0
        for text, target in zip(predictions, targets, strict=True):
            if not target.options:
                values = (float(score_open(text, target.answers)),) * 4
            else:
                letter = read_letter(text, target.options)
                unparsed += letter not in target.options
                found = read_official_letter(text, target.options)
                guess = sum(name in target.answers for name in target.options) / len(target.options)
                values = (
                    float(letter in target.answers),
                    float(read_letter_strictly(text, target.options) in target.answers),
                    float(found in target.answers),
                    guess if found is None else float(found in target.answers),
                )
            for column, value in zip((samples, strict, official, expected), values, strict=True):
                column.append(value)
        metrics = {
            "accuracy": average(samples),
            "accuracy_corrected": average(strict),
            "accuracy_official": average(official),
            "accuracy_official_expected": average(expected),
        }
        return Scores(metrics | _break_down(samples, targets), tuple(samples), num_unparsed=unparsed)

    def statistics(self, predictions: Sequence[str], targets: Sequence[MmmuTarget]) -> list[tuple[float, float]]:
        """Right answers and answers."""
        return [(value, 1.0) for value in self(predictions, targets).samples if value is not None]

    def combine(self, sums: Any) -> Any:
        """Percent of the sums."""
        return 100 * sums[..., 0] / sums[..., 1]


def _break_down(samples: Sequence[float], targets: Sequence[MmmuTarget]) -> dict[str, float]:
    members: dict[str, list[float]] = {}
    for value, target in zip(samples, targets, strict=True):
        members.setdefault(f"accuracy/subject={target.subject}", []).append(value)
        if target.subject in _DOMAIN_OF:
            members.setdefault(f"accuracy/domain={_DOMAIN_OF[target.subject]}", []).append(value)
    return {name: average(members[name]) for name in sorted(members)}
