"""GQA: the answer without final periods and in lower case equals the right one; per type, and how answers spread.

Rule of the GQA authors' `eval.py`, fed as InternVL v1.2.2 feeds it (`convert_gqa_for_eval.py`). White space around an
answer stays and makes it wrong. Only balanced questions are scored. Not here, because test-dev lacks the files:
validity and plausibility (choices of the scene graphs), consistency (entailed questions) and grounding.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from evaluate.scorer import MeanScorer, Scores


@dataclass(frozen=True, slots=True)
class GQATarget:
    """One question.

    Attributes:
        answer: the right one.
        balanced: others are not scored.
        structural, semantic, detailed: the types of the question; empty for none.
        num_words: of the question.
        num_steps: of reasoning, see `count_steps`.
        group: questions with as comparable answers, for the distribution; None for none.
    """

    answer: str
    balanced: bool = True
    structural: str = ""
    semantic: str = ""
    detailed: str = ""
    num_words: int = 0
    num_steps: int = 0
    group: str | None = None

    def list_groups(self) -> tuple[str, ...]:
        """Names for the breakdown; what is not scored belongs to none."""
        if not self.balanced:
            return ()
        types = {"structural": self.structural, "semantic": self.semantic, "detailed": self.detailed}
        return (
            "open" if self.structural == "query" else "binary",
            *(f"{name}={value}" for name, value in types.items() if value),
            f"steps={self.num_steps}",
            f"words={self.num_words}",
        )


def count_steps(program: Sequence[dict[str, Any]]) -> int:
    """Operations of a question's program, without those that only read the answer off."""
    told = (f"{step['operation']}: {step['argument']}" for step in program)
    return sum(not any(mark in step for mark in ("exist", "query: name", "choose name")) for step in told)


def convert(prediction: str) -> str:
    """What the published converter hands to the script.

    Example:
        >>> convert("No..."), convert("Left. ")
        ('no', 'left. ')
    """
    return prediction.rstrip(".").lower()


def score_gqa(prediction: str, target: GQATarget) -> float | None:
    """1.0 where the converted answer is the right one; None for a question that is not balanced."""
    return float(convert(prediction) == target.answer) if target.balanced else None


def measure_distribution(predictions: Sequence[str], targets: Sequence[GQATarget]) -> float:
    """How far the counts of the given answers are from those of the right ones; lower is better, nan without groups.

    For each group the chi-square of the counts of its right answers, weighted by the number of its questions, of
    which the script gives a hundredth.
    """
    right: dict[str, Counter[str]] = {}
    given: dict[str, Counter[str]] = {}
    for prediction, target in zip(predictions, targets, strict=True):
        if target.balanced and target.group is not None:
            right.setdefault(target.group, Counter())[target.answer] += 1
            given.setdefault(target.group, Counter())[convert(prediction)] += 1
    sizes = {group: counts.total() for group, counts in right.items()}
    terms = (
        sizes[group] * (given[group][answer] - count) ** 2 / count
        for group, counts in right.items()
        for answer, count in counts.items()
    )
    return math.fsum(terms) / sum(sizes.values()) / 100 if sizes else math.nan


_MEAN = MeanScorer("gqa", score_gqa, groups=GQATarget.list_groups)


@dataclass(frozen=True, slots=True)
class GQAScorer:
    """Accuracy in percent, over all and per type, and `distribution`."""

    name: str = "gqa"
    primary: str = "accuracy"
    higher_is_better: bool = True

    def __call__(self, predictions: Sequence[str], targets: Sequence[GQATarget]) -> Scores:
        """Score all answers."""
        scores = _MEAN(predictions, targets)
        spread = {"distribution": measure_distribution(predictions, targets)}
        return Scores({**scores.metrics, **spread}, scores.samples)

    def statistics(self, predictions: Sequence[str], targets: Sequence[GQATarget]) -> Sequence[Sequence[float]]:
        """Right answers and scored questions."""
        values = _MEAN(predictions, targets).samples
        return [(0.0, 0.0) if value is None else (value, 1.0) for value in values]

    def combine(self, sums: Any) -> Any:
        """The accuracy."""
        return 100 * sums[..., 0] / sums[..., 1]


def gqa() -> GQAScorer:
    """The scorer."""
    return GQAScorer()
