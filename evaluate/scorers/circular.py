"""MMBench: a question is asked once per rotation of its options, and counts where every rotation is answered rightly.

An answer is first read as InternVL at tag v1.2.2 writes it into the sheet for the server (`post_process`), then by the
exact matching of VLMEvalKit (`can_infer`), which stands before any judge. What that leaves open is wrong here, where
the server asks a judge and, in the end, guesses. `accuracy_corrected` reads answers strictly; `vanilla_accuracy` looks
at the first rotation alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from evaluate.scorer import Scores
from evaluate.scorers.choice import Options, average, read_letter, read_letter_strictly

ROTATION = 1_000_000
"""Indices of the rotations of a question lie this far from each other."""

_FAILED = "Failed to obtain answer via API"
_REFUSALS = (
    "Sorry, I can't help with images of people yet.",
    "I can't process this file.",
    "I'm sorry, but without the image provided",
    "Cannot determine the answer",
)
_REFUSED = "Z"
_TO_SPACES = str.maketrans(dict.fromkeys(".()[],:;!*#{}", " "))
_SENTENCE = re.compile(r"answer\s+is\s+\**([ABCD])", re.IGNORECASE)
_NEAR_THE_END = 4


@dataclass(frozen=True, slots=True)
class MMBenchTarget:
    """The index that tells question and rotation, the right letter, all options, and the abilities that are asked."""

    index: int
    answer: str
    options: Options
    category: str = ""
    ability: str = ""

    @property
    def question(self) -> int:
        """The same for all rotations."""
        return self.index % ROTATION


def infer_option(text: str, options: Options) -> str | None:
    """VLMEvalKit's exact matching: a letter, `Z` for a refusal, None where only a judge could tell.

    Example:
        >>> options = {"A": "cat", "B": "dog"}
        >>> [infer_option(text, options) for text in ("I choose (B)", "DOG!", "A/B", "Cannot determine the answer")]
        ['B', 'B', None, 'Z']
    """
    if _FAILED not in text:
        if any(refusal in text for refusal in _REFUSALS):
            return _REFUSED
        words = text.translate(_TO_SPACES).split()
        said = set(words)
        letters = [name for name in options if name in said]
        if len(letters) == 1 and words.index(letters[0]) >= len(words) - _NEAR_THE_END:
            return letters[0]
        if not letters and _REFUSED in said:
            return _REFUSED
        found = _SENTENCE.search(text)
        if found is not None and found[1].upper() in options:
            return found[1].upper()
    text = text.lower()
    if len(text) > 2 * sum(map(len, options.values())):
        return None
    inside = [name for name, option in options.items() if option.lower() in text]
    return inside[0] if len(inside) == 1 else None


def read_uploaded(text: str, options: Options) -> str | None:
    """What the server makes of the letter or text that is uploaded."""
    return infer_option(read_letter(text, options), options)


@dataclass(frozen=True, slots=True)
class CircularScorer:
    """Accuracy in percent over questions with all rotations right, also per ability and per category."""

    read: Callable[[str, Options], str | None] = read_uploaded
    name: str = "mmbench"
    primary: str = "accuracy"
    higher_is_better: bool = True

    def __call__(self, predictions: Sequence[str], targets: Sequence[MMBenchTarget]) -> Scores:
        """Score all answers."""
        rows = list(zip(predictions, targets, strict=True))
        read = [self.read(text, target.options) for text, target in rows]
        hits = [said == target.answer for said, target in zip(read, targets, strict=True)]
        strict = [read_letter_strictly(text, target.options) == target.answer for text, target in rows]
        questions = _judge(hits, targets)
        metrics = {
            "accuracy": average([*questions.values()]),
            "vanilla_accuracy": average([hit for hit, t in zip(hits, targets, strict=True) if t.index < ROTATION]),
            "accuracy_corrected": average([*_judge(strict, targets).values()]),
        }
        # The first rotation speaks for its question, should the others differ.
        first = {target.question: target for target in sorted(targets, key=lambda target: -target.index)}
        members: dict[str, list[bool]] = {}
        for question, right in questions.items():
            target = first[question]
            for kind, value in (("l2-category", target.ability), ("category", target.category)):
                if value:
                    members.setdefault(f"accuracy/{kind}={value}", []).append(right)
        metrics |= {name: average(members[name]) for name in sorted(members)}
        unparsed = sum(said not in target.options for said, target in zip(read, targets, strict=True))
        return Scores(metrics, tuple(map(float, hits)), num_unparsed=unparsed)

    def statistics(self, predictions: Sequence[str], targets: Sequence[MMBenchTarget]) -> list[tuple[float, float]]:
        """Right questions and questions; each stands at one of its rotations."""
        read = [self.read(text, target.options) for text, target in zip(predictions, targets, strict=True)]
        questions = _judge([said == target.answer for said, target in zip(read, targets, strict=True)], targets)
        found = [questions.pop(target.question, None) for target in targets]
        return [(float(right or 0), float(right is not None)) for right in found]

    def combine(self, sums: Any) -> Any:
        """Percent of the sums."""
        return 100 * sums[..., 0] / sums[..., 1]


def _judge(hits: Sequence[bool], targets: Sequence[MMBenchTarget]) -> dict[int, bool]:
    """Whether all rotations are right, by question."""
    questions: dict[int, bool] = {}
    for hit, target in zip(hits, targets, strict=True):
        questions[target.question] = questions.get(target.question, True) and hit
    return questions
