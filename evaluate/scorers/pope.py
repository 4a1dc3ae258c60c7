"""POPE: yes or no about objects that are in a picture or not; precision, recall and F1 of `yes`, per category.

Rule of InternVL at tag v1.2.2, `eval_pope.py`: an answer is `yes` unless its first sentence has one of the words No,
not, no, so that an empty answer, `NO` and `nope` are all `yes`. The headline is the mean of the categories' F1, which
the 2025 version prints. `f1_corrected` and `accuracy_corrected` read yes and no in any spelling, and where an answer
says neither, it is wrong.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from evaluate.scorer import NoAnswer, Scores
from evaluate.scorers.yes_no import read_yes

_NEGATIONS = frozenset({"No", "not", "no"})
_NAMES = ("accuracy", "precision", "recall", "f1", "yes_ratio")


@dataclass(frozen=True, slots=True)
class PopeTarget:
    """Whether the object is in the picture, and how it was chosen."""

    positive: bool
    category: str


@dataclass(frozen=True, slots=True)
class Confusion:
    """How many answers of each kind; `yes` is positive."""

    true_positives: int = 0
    false_positives: int = 0
    true_negatives: int = 0
    false_negatives: int = 0

    def measure(self) -> dict[str, float]:
        """The five numbers of a category; a ratio of nothing to nothing is 0, where the original stops."""
        said, there = self.true_positives + self.false_positives, self.true_positives + self.false_negatives
        total = said + self.true_negatives + self.false_negatives
        precision, recall = _divide(self.true_positives, said), _divide(self.true_positives, there)
        return {
            "accuracy": _divide(self.true_positives + self.true_negatives, total),
            "precision": precision,
            "recall": recall,
            "f1": _divide(2 * precision * recall, precision + recall),
            "yes_ratio": _divide(said, total),
        }


def says_yes(text: str) -> bool:
    """The published reading.

    Example:
        >>> says_yes("No, there is none"), says_yes("NO"), says_yes("")
        (False, True, True)
    """
    return _NEGATIONS.isdisjoint(text.partition(".")[0].replace(",", "").split(" "))


def _read(text: str, target: PopeTarget) -> bool:
    """The published reading; a sample that failed is not the `yes` that an empty answer is."""
    return not target.positive if isinstance(text, NoAnswer) else says_yes(text)


@dataclass(frozen=True, slots=True)
class PopeScorer:
    """Per category and as their mean: accuracy, precision, recall and F1 in percent, and the share of `yes`."""

    name: str = "pope"
    primary: str = "f1"
    higher_is_better: bool = True

    def __call__(self, predictions: Sequence[str], targets: Sequence[PopeTarget]) -> Scores:
        """Score all answers."""
        published = [_read(text, target) for text, target in zip(predictions, targets, strict=True)]
        read = [read_yes(text) for text in predictions]
        # What says neither is wrong whatever is right.
        corrected = [not t.positive if said is None else said for said, t in zip(read, targets, strict=True)]
        metrics = _average(published, targets)
        fixed = _average(corrected, targets)
        metrics |= {f"{name}_corrected": fixed[name] for name in ("f1", "accuracy")}
        samples = tuple(float(said == t.positive) for said, t in zip(published, targets, strict=True))
        return Scores(metrics, samples, num_unparsed=read.count(None))

    def statistics(self, predictions: Sequence[str], targets: Sequence[PopeTarget]) -> list[list[float]]:
        """Four columns per category, in the order of `Confusion`."""
        names = sorted({target.category for target in targets})
        rows = []
        for text, target in zip(predictions, targets, strict=True):
            row = [0.0] * (4 * len(names))
            row[4 * names.index(target.category) + _place(_read(text, target), target.positive)] = 1.0
            rows.append(row)
        return rows

    def combine(self, sums: Any) -> Any:
        """The mean of the categories' F1; nan where a category has no sample."""
        import numpy as np

        true, false, negatives, missed = (sums[..., place::4] for place in range(4))
        parts = 2 * true + false + missed
        f1 = np.where(parts > 0, 2 * true / np.maximum(parts, 1), 0.0)
        return 100 * np.where(parts + negatives > 0, f1, np.nan).mean(axis=-1)


def count_answers(said: Iterable[bool], positive: Iterable[bool]) -> Confusion:
    """The confusion of answers."""
    counts = [0] * 4
    for answer, right in zip(said, positive, strict=True):
        counts[_place(answer, right)] += 1
    return Confusion(*counts)


def _average(said: Sequence[bool], targets: Sequence[PopeTarget]) -> dict[str, float]:
    """Numbers of each category, and their means; all but the ratio in percent."""
    members: dict[str, list[tuple[bool, bool]]] = {}
    for answer, target in zip(said, targets, strict=True):
        members.setdefault(target.category, []).append((answer, target.positive))
    parts = {name: count_answers(*zip(*members[name], strict=True)).measure() for name in sorted(members)}
    scale = dict.fromkeys(_NAMES, 100.0) | {"yes_ratio": 1.0}
    metrics = {
        name: scale[name] * math.fsum(part[name] for part in parts.values()) / len(parts) if parts else math.nan
        for name in _NAMES
    }
    return metrics | {f"{name}/{key}": scale[name] * part[name] for key, part in parts.items() for name in _NAMES}


def _place(said: bool, positive: bool) -> int:
    """The column of `Confusion` that an answer belongs to."""
    if said:
        return 0 if positive else 1
    return 3 if positive else 2


def _divide(part: float, whole: float) -> float:
    return part / whole if whole else 0.0
