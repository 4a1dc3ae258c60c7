"""MileBench: which of its three rules scores a data set, and which answers that rule can score."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from evaluate.scorer import MeanScorer
from evaluate.scorers.milebench_choice import milebench_choice
from evaluate.scorers.milebench_needle import NEEDLE, milebench_needle
from evaluate.scorers.milebench_rouge import milebench_rouge
from evaluate.scorers.milebench_target import MilebenchTarget, check_choice, check_text
from internvl.errors import InputError

Rule = Literal["needle", "rouge", "choice"]

SCORERS: dict[Rule, Callable[[], MeanScorer]] = {
    "needle": milebench_needle,
    "rouge": milebench_rouge,
    "choice": milebench_choice,
}
"""The scorer of each rule."""
_BY_NAME = (NEEDLE, "MMCoQA")
_BY_TYPE: dict[str, Rule] = {"open-ended": "rouge", "multi-choice": "choice"}


def choose_rule(dataset: str, question_type: str) -> Rule:
    """The rule of a data set: its name decides before the type of its questions, as published.

    Example:
        >>> choose_rule("MMCoQA", "open-ended"), choose_rule("ALFRED", "open-ended"), choose_rule("TQA", "multi-choice")
        ('needle', 'rouge', 'choice')

    Raises:
        InputError: neither says it.
    """
    if any(name in dataset for name in _BY_NAME):
        return "needle"
    if question_type not in _BY_TYPE:
        raise InputError(
            f"question_type of {dataset}: expected one of {', '.join(_BY_TYPE)}, got {question_type!r}; fetch the "
            "annotations again"
        )
    return _BY_TYPE[question_type]


def check_target(target: MilebenchTarget, rule: Rule, where: str) -> None:
    """Make sure that an answer can be right under its rule; a needle without any word is wrong under the strict one.

    Args:
        target: what was read.
        rule: that will score it.
        where: file and row that it was read from.

    Raises:
        InputError: no answer can be.
    """
    if rule == "choice":
        check_choice(target, where)
    elif rule == "rouge":
        check_text(target, where)
