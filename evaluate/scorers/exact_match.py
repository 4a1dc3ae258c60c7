"""Exact match: the answer equals one of the accepted answers, white space around it and upper case aside.

Rule of OCR-VQA and AI2D in InternVL at tag v1.2.2, `evaluate_vqa.py::evaluate_exact_match_accuracy`. Nothing else is
cleaned: `yes.` does not equal `yes`.
"""

from __future__ import annotations

from collections.abc import Sequence

from evaluate.scorer import MeanScorer


def score_exact_match(prediction: str, target: str | Sequence[str]) -> float:
    """1.0 for a match with any accepted answer, else 0.0; a question without accepted answers cannot be right.

    Example:
        >>> score_exact_match(" Leaf", "leaf"), score_exact_match("leaf.", ["leaf", "petal"])
        (1.0, 0.0)
    """
    answers = (target,) if isinstance(target, str) else target
    said = prediction.strip().lower()
    return float(any(said == answer.strip().lower() for answer in answers))


def exact_match() -> MeanScorer:
    """The scorer: accuracy in percent."""
    return MeanScorer("exact_match", score_exact_match)
