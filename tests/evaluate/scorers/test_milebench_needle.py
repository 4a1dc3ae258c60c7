"""Needles and MMCoQA against tests/golden/milebench_needle.json, and the strict rule by eye."""

from __future__ import annotations

from typing import Any

import pytest

from evaluate.scorer import NoAnswer
from evaluate.scorers.milebench_needle import milebench_needle, score_needle, score_needle_strictly
from evaluate.scorers.milebench_target import MilebenchTarget

NEEDLES = ("TextNeedleInAHaystack", "ImageNeedleInAHaystack")


@pytest.mark.golden("milebench_needle")
def test_value_agrees_with_the_original(case: dict[str, Any]) -> None:
    sample = case["input"]
    for dataset in NEEDLES if sample["needle"] else ("MMCoQA",):
        target = MilebenchTarget(sample["gt_response"], (), 2, dataset)
        assert score_needle(sample["pred_response"], target) == case["expected"]


@pytest.mark.parametrize(
    ("answer", "prediction", "dataset", "published", "strict"),
    [
        ("4255900", "The number is 4255900.", NEEDLES[0], 1, 1),
        ("4255900", "It is **4,255,900**!", NEEDLES[0], 0, 1),
        ("4255900", "#4255900", NEEDLES[0], 0, 1),
        ("4255900", "4 255 900", NEEDLES[1], 0, 1),
        ("4255900", "4'255'900.00", NEEDLES[1], 0, 1),
        ("4255900", "4255900.0", NEEDLES[1], 0, 1),
        ("4255900", "4255900.5", NEEDLES[1], 0, 0),
        ("4255900", "42559001", NEEDLES[1], 0, 0),
        ("4255900", "14 255 900", NEEDLES[1], 0, 0),
        ("4255900", "-4255900", NEEDLES[1], 1, 0),
        ("4255900", "", NEEDLES[1], 0, 0),
        ("red", "a hundred", "MMCoQA", 1, 0),
        ("emu", "the museum of emus", "MMCoQA", 1, 0),
        ("gray", "the gray-haired man", "MMCoQA", 1, 1),
        ("13.72%", "13.72 %", "MMCoQA", 0, 1),
        ("New York", "york, new", "MMCoQA", 0, 0),
        ("New York", "In New-York City", "MMCoQA", 1, 1),
        ("The  Who", "the who", "MMCoQA", 0, 1),
        ("?", "anything", "MMCoQA", 1, 0),
        ("5", "3.5", "MMCoQA", 1, 0),
    ],
)
def test_values_by_eye(answer: str, prediction: str, dataset: str, published: float, strict: float) -> None:
    target = MilebenchTarget(answer, (), 2, dataset)
    assert (score_needle(prediction, target), score_needle_strictly(prediction, target)) == (published, strict)


def test_percentages_over_all_and_per_level() -> None:
    targets = [MilebenchTarget("red", (), number, "MMCoQA") for number in (2, 6, 31, 32)]
    scores = milebench_needle()(["red", "hundred", "blue", NoAnswer()], targets)
    assert scores.metrics == {
        "Accuracy": 50.0,
        "accuracy_strict": 25.0,
        "Accuracy/Few": 100.0,
        "Accuracy/Medium": 50.0,
        "Accuracy/Many": 0.0,
    }
    assert scores.samples == (1.0, 1.0, 0.0, 0.0)


def test_a_failure_is_wrong_even_where_any_text_is_right() -> None:
    target = MilebenchTarget("", (), 2, "MMCoQA")
    assert milebench_needle()(["", NoAnswer()], [target] * 2).samples == (1.0, 0.0)
