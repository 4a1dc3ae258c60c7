"""Inst-It Bench, open-ended: the mean of the scores that a judge gave.

Rule of inst-it at 6d7bd50, `compute_metric_oe`: a score counts as it is, also one outside of 0 to 1, which is only
counted here (`num_out_of_range`), and an answer without a score leaves the denominator. `accuracy_all` counts it as
nothing.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from evaluate.inst_it_prompts import Split
from evaluate.scorer import Scores
from evaluate.scorers.judged import JudgedScorer, covered, is_good, strict, value

_OBJECT = re.compile(r"\{[^{}]*\}")


@dataclass(frozen=True, slots=True)
class InstItReference:
    """A question with its reference, and the split that says what the judge is told."""

    question: str
    answer: str
    split: Split


def read_score(text: str) -> float | None:
    """The number that the first object with one holds as `sample_score`; None where there is none.

    Example:
        >>> [read_score(text) for text in ('{"sample_score": 0.5}', 'So: {"sample_score": 1}.', "0.5")]
        [0.5, 1.0, None]
    """
    for part in _OBJECT.findall(text):
        try:
            score = json.loads(part).get("sample_score")
            if type(score) in (int, float) and math.isfinite(score):
                return float(score)
        except (ValueError, OverflowError, RecursionError):
            continue
    return None


class InstItOpenScorer(JudgedScorer):
    """Mean score in percent."""

    __slots__ = ()

    def __call__(self, predictions: Sequence[str], targets: Sequence[Any]) -> Scores:
        """Score all verdicts."""
        scores = super().__call__(predictions, targets)
        return replace(scores, metrics={**scores.metrics, "num_out_of_range": float(count_outside(predictions))})


def count_outside(verdicts: Sequence[str]) -> int:
    """Good verdicts that are no number of 0 to 1."""
    read = [read_score(said) for said in verdicts if is_good(said)]
    return sum(score is not None and not 0 <= score <= 1 for score in read)


def average_official(scores: Sequence[float]) -> float:
    """The published mean in percent, to the last digit, of the scores in the order of the file; nan of none."""
    return sum(scores) / len(scores) * 100 if scores else math.nan


def inst_it_open() -> InstItOpenScorer:
    """The scorer."""
    return InstItOpenScorer(
        "inst_it_open",
        value(_read),
        beside={
            "accuracy_official": lambda said, target: _read(said, target) if is_good(said) else None,
            "accuracy_all": strict(_read),
            "coverage": covered(_read),
        },
    )


def _read(said: str, target: Any) -> float | None:
    return read_score(said)
