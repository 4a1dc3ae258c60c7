"""Scores of judged answers: the headline over what was judged, and beside it the strict number and the coverage.

A verdict that is not good is missing data and stays out of the headline, which says nothing below a high coverage. An
answer that was never given is wrong. `score_strict` counts everything without a good verdict as nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from evaluate.scorer import MeanScorer, NoAnswer, Scores

Rule = Callable[[str, Any], float | None]


class JudgedScorer(MeanScorer):
    """The mean of values that verdicts hold; `num_unparsed` counts replies of the judge that could not be read."""

    __slots__ = ()

    def __call__(self, predictions: Sequence[str], targets: Sequence[Any]) -> Scores:
        """Score all verdicts."""
        return replace(super().__call__(predictions, targets), num_unparsed=count_unread(predictions))


def is_good(said: str) -> bool:
    """Whether a verdict may hold a score; a plain text, which says nothing of a status, may too.

    Example:
        >>> from evaluate.judging import Verdict
        >>> [is_good(said) for said in (Verdict("7"), Verdict("7", "parse_error"), NoAnswer(), "7")]
        [True, False, False, True]
    """
    return not isinstance(said, NoAnswer) and getattr(said, "status", "ok") == "ok"


def count_unread(verdicts: Iterable[str]) -> int:
    """Verdicts of a judge whose words could not be read."""
    return sum(getattr(verdict, "status", "ok") == "parse_error" for verdict in verdicts)


def value(rule: Rule) -> Rule:
    """The headline's value: what the rule says of a good verdict, nothing for no answer, None for no verdict."""
    return lambda said, target: rule(said, target) if is_good(said) else 0.0 if isinstance(said, NoAnswer) else None


def strict(rule: Rule) -> Rule:
    """What the rule says of a good verdict, and otherwise nothing."""
    return lambda said, target: (rule(said, target) or 0.0) if is_good(said) else 0.0


def covered(rule: Rule) -> Rule:
    """One for a verdict that holds a score."""
    return lambda said, target: float(is_good(said) and rule(said, target) is not None)


def average(values: Iterable[float | None]) -> float:
    """The mean of what is there; nan of nothing. The order moves no digit."""
    there = [value for value in values if value is not None]
    return math.fsum(there) / len(there) if there else math.nan
