"""Inst-It Bench, multiple choice: the first of the letters A to D that is left of an answer once phrases are cut out.

Rule of inst-it at 6d7bd50, `compute_metric_mc`: two commas are missing in its list of phrases, so that `Best answer: C`
is B, and an answer without a letter leaves the denominator, so that a model that refuses gains. A sample that failed is
wrong in the headline and out of `accuracy_official`. `accuracy_all` counts every sample, and `accuracy_corrected` does
so for letters that stand alone.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from evaluate.scorer import NoAnswer, Scores
from evaluate.scorers.choice import read_letter_strictly

PHRASES = (
    *("The best answer is", "The correct answer is", "The answer is", "The answer"),
    *("The best option isThe correct option is", "Best answer:Best option:"),
    *("Answer", "Answer:", "answer:", "answer", "Option:", "The correct answer", "The correct option"),
)
"""What is cut out of answers, one after the other, wherever it stands."""
_LETTER = re.compile("[ABCD]")
_NAMELESS = dict.fromkeys("ABCD", "")
"""Options whose texts do not matter: files of other tools do not have them."""


def read_letter(text: str) -> str:
    """The published reading; empty where no letter is left.

    Example:
        >>> [read_letter(text) for text in ("B.", "The best answer is: C", "Best answer: C", "Cannot tell.", "b")]
        ['B', 'C', 'B', 'C', '']
    """
    text = text.strip()
    for phrase in PHRASES:
        text = text.replace(phrase, "")
    found = _LETTER.search(text)
    return found[0] if found else ""


@dataclass(frozen=True, slots=True)
class ChoiceCounts:
    """Answers: all, those with a letter, and those with the right one."""

    total: int
    valid: int
    correct: int

    @property
    def accuracy(self) -> float:
        """The published number, to the last digit; nan where no answer has a letter."""
        return self.correct / self.valid * 100 if self.valid else math.nan

    @property
    def accuracy_all(self) -> float:
        """Over all answers; nan of nothing."""
        return self.correct / self.total * 100 if self.total else math.nan


def count_choices(letters: Sequence[str], targets: Sequence[str]) -> ChoiceCounts:
    """What was read, beside what is right."""
    pairs = [(letter, target) for letter, target in zip(letters, targets, strict=True) if letter]
    return ChoiceCounts(len(letters), len(pairs), sum(letter == target for letter, target in pairs))


def correct_choices(texts: Sequence[str], targets: Sequence[str]) -> float:
    """Accuracy over all answers, of letters that stand alone; nan of nothing."""
    read = [read_letter_strictly(text, _NAMELESS) for text in texts]
    right = sum(said is not None and said == target for said, target in zip(read, targets, strict=True))
    return right / len(read) * 100 if read else math.nan


@dataclass(frozen=True, slots=True)
class InstItChoiceScorer:
    """Accuracy in percent over answers with a letter, as published, and beside it over all."""

    name: str = "inst_it_choice"
    primary: str = "accuracy"
    higher_is_better: bool = True

    def __call__(self, predictions: Sequence[str], targets: Sequence[str]) -> Scores:
        """Score all answers."""
        letters = [read_letter(text) for text in predictions]
        counts = count_choices(letters, targets)
        samples = tuple(map(_value, predictions, letters, targets))
        failed = sum(isinstance(text, NoAnswer) for text in predictions)
        unread = counts.total - counts.valid - failed
        headline = ChoiceCounts(counts.total, counts.valid + failed, counts.correct)
        metrics = {
            "accuracy": headline.accuracy,
            "accuracy_official": counts.accuracy,
            "accuracy_all": counts.accuracy_all,
            "accuracy_corrected": correct_choices(predictions, targets),
            "num_valid": float(counts.valid),
        }
        return Scores(metrics, samples, num_unparsed=unread, num_unscored=unread)

    def statistics(self, predictions: Sequence[str], targets: Sequence[str]) -> list[tuple[float, float]]:
        """Right answers, and answers that count."""
        values = map(_value, predictions, map(read_letter, predictions), targets)
        return [(0.0, 0.0) if value is None else (value, 1.0) for value in values]

    def combine(self, sums: Any) -> Any:
        """Percent of the sums; nan where nothing counts."""
        import numpy as np

        right, counted = sums[..., 0], sums[..., 1]
        return np.where(counted > 0, 100 * right / np.maximum(counted, 1), np.nan)


def _value(text: str, letter: str, target: str) -> float | None:
    """The score of a sample; None where the published rule leaves it out."""
    if isinstance(text, NoAnswer):
        return 0.0
    return float(letter == target) if letter else None
