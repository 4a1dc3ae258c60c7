"""Multiple choice: which option's letter an answer gives, and accuracy.

Rule of ScienceQA, MMBench, MMMU and MMVP in InternVL at tag v1.2.2, `post_process`: the first character decides where
it is a letter, so that `Answer: B` is A. The 2025 version also reads `(B)`. `accuracy_corrected` reads letters only
where they stand alone, and the text of an option only where no other option's is there.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evaluate.scorer import Scores
from evaluate.scorers.final_answer import find_final_answer

Options = Mapping[str, str]
_ALONE = re.compile(r"\s*\(?([A-Z])\)?(?:[.):,]|\s|$)")


@dataclass(frozen=True, slots=True)
class ChoiceTarget:
    """The letter of the right option, and all options."""

    answer: str
    options: Options


def read_letter(text: str, options: Options) -> str:
    """The published reading; the stripped text where it finds no option.

    Example:
        >>> options = {"A": "a dog", "B": "a cat"}
        >>> [read_letter(text, options) for text in ("B.", "Boat", "It is a cat", "(B)", "b")]
        ['B', 'B', 'B', '(B)', 'b']
    """
    text = text.strip()
    if len(text) < 2:
        return text
    if text[0] in options:
        return text[0]
    return next((name for name, option in options.items() if option in text), text)


def read_letter_later(text: str, options: Options) -> str:
    """The reading of 2025, which takes a character out of brackets and one before a period.

    Example:
        >>> [read_letter_later(text, {"A": "a dog", "B": "a cat"}) for text in ("(B)", "2.", "(B")]
        ['B', '2', '(B']
    """
    said = text.strip()
    if len(said) == 2 and said[1] == ".":
        return said[0]
    if said[:1] == "(" and said[2:3] == ")" and "(" not in options:
        return said[1]
    return read_letter(said, options)


def read_letter_strictly(text: str, options: Options) -> str | None:
    """The option of a final answer that leaves no doubt; None for any other.

    Example:
        >>> options = {"A": "a dog", "B": "a cat"}
        >>> [read_letter_strictly(text, options) for text in ("Answer: (B)", "A Cat.", "Boat", "It is a cat")]
        ['B', 'B', None, 'B']
    """
    said = find_final_answer(text).strip()
    plain = _simplify(said)
    texts = {name: _simplify(option) for name, option in options.items()}
    equal = [name for name, option in texts.items() if option == plain]
    if len(equal) == 1 and len(plain) > 1:
        return equal[0]
    alone = _ALONE.match(said)
    if alone is not None:
        return alone[1] if alone[1] in options else None
    inside = [name for name, option in texts.items() if option and option in plain]
    return inside[0] if len(inside) == 1 else None


def _simplify(text: str) -> str:
    return text.strip().rstrip(".").lower()


RULES: dict[str, Callable[[str, Options], str]] = {
    "internvl-v1.2": read_letter,
    "internvl-later": read_letter_later,
}
"""The reading of each protocol."""


@dataclass(frozen=True, slots=True)
class ChoiceScorer:
    """Accuracy in percent under a reading, and beside it under the strict one."""

    read: Callable[[str, Options], str]
    name: str
    primary: str = "accuracy"
    higher_is_better: bool = True

    def __call__(self, predictions: Sequence[str], targets: Sequence[ChoiceTarget]) -> Scores:
        """Score all answers."""
        read = [self.read(text, target.options) for text, target in zip(predictions, targets, strict=True)]
        samples = tuple(float(said == target.answer) for said, target in zip(read, targets, strict=True))
        strict = [
            read_letter_strictly(text, target.options) == target.answer
            for text, target in zip(predictions, targets, strict=True)
        ]
        metrics = {"accuracy": average(samples), "accuracy_corrected": average(strict)}
        unparsed = sum(said not in target.options for said, target in zip(read, targets, strict=True))
        return Scores(metrics, samples, num_unparsed=unparsed)

    def statistics(self, predictions: Sequence[str], targets: Sequence[ChoiceTarget]) -> list[tuple[float, float]]:
        """Right answers and answers."""
        return [(value, 1.0) for value in self(predictions, targets).samples if value is not None]

    def combine(self, sums: Any) -> Any:
        """Percent of the sums."""
        return 100 * sums[..., 0] / sums[..., 1]


def choice_accuracy(protocol: str = "internvl-v1.2") -> ChoiceScorer:
    """The scorer of a protocol.

    Raises:
        ValueError: the protocol is unknown.
    """
    if protocol not in RULES:
        raise ValueError(f"protocol: expected one of {', '.join(RULES)}, got {protocol!r}; choose one of these")
    return ChoiceScorer(RULES[protocol], f"choice@{protocol}")


def average(values: Sequence[float | bool]) -> float:
    """The mean in percent; nan of nothing."""
    return 100 * math.fsum(values) / len(values) if values else math.nan
