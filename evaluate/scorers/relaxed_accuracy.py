"""Relaxed accuracy: a number may be 5 % off, anything else must be the same text, upper case aside.

Rule of ChartQA, `evaluate_vqa.py::evaluate_relaxed_accuracy` in InternVL at tag v1.2.2 and later. It takes the 5 % of
what the model said and not of the right number: the two change places in the call. That is the published number; the
rule as it is meant (`official`) stands beside it. Either way years are numbers, and `1,000` is none.
"""

from __future__ import annotations

from collections.abc import Sequence

from evaluate.scorer import MeanScorer

TOLERANCE = 0.05


def read_number(text: str) -> float | None:
    """The number that a text is, percent as a fraction; None where it is none.

    Example:
        >>> read_number("12.5%"), read_number("1e3"), read_number("1,000")
        (0.125, 1000.0, None)
    """
    try:
        return float(text.rstrip("%")) / 100 if text.endswith("%") else float(text)
    except ValueError:
        return None


def matches(reference: str, other: str) -> bool:
    """Whether the other text is near the reference; a reference of zero is a text."""
    number = read_number(reference)
    if number and (value := read_number(other)) is not None:
        return abs(value - number) / abs(number) <= TOLERANCE
    return reference.lower() == other.lower()


def score_published(prediction: str, target: str | Sequence[str]) -> float:
    """1.0 where an accepted answer is within 5 % of what the model said; without accepted answers nothing is right.

    Example:
        >>> score_published("105.26", "100"), score_published("95", "100")
        (1.0, 0.0)
    """
    said = prediction.strip()
    return float(any(matches(said, answer) for answer in _list(target)))


def score_official(prediction: str, target: str | Sequence[str]) -> float:
    """1.0 where the model said something within 5 % of an accepted answer.

    Example:
        >>> score_official("105.26", "100"), score_official("95", "100")
        (0.0, 1.0)
    """
    said = prediction.strip()
    return float(any(matches(answer, said) for answer in _list(target)))


def _list(target: str | Sequence[str]) -> Sequence[str]:
    return (target,) if isinstance(target, str) else target


def relaxed_accuracy() -> MeanScorer:
    """The scorer: `relaxed_accuracy` in percent as published, `relaxed_accuracy@official` beside it."""
    return MeanScorer(
        "relaxed_accuracy@internvl-v1.2",
        score_published,
        primary="relaxed_accuracy",
        beside={"relaxed_accuracy@official": score_official},
    )
