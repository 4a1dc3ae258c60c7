"""SEED-Bench's rule against tests/golden/seed.json, and as a property."""

from __future__ import annotations

import math
import random
from typing import Any

import numpy as np
import pytest

from evaluate.metric import ScorerMetric
from evaluate.scorers.seed import SeedScorer, SeedTarget

OPTIONS = {"A": "One", "B": "Two", "C": "Three", "D": "Four"}
NAMES = {"Total accuracy": "total_accuracy", "Image accuracy": "image_accuracy", "Video accuracy": "video_accuracy"}


@pytest.mark.golden("seed", kind="item")
def test_item_agrees_with_the_original(case: dict[str, Any]) -> None:
    target = SeedTarget(case["input"]["gold"], case["input"]["question_type_id"], OPTIONS)
    scores = SeedScorer()([case["input"]["prediction"]], [target])
    assert scores.samples == (float(case["expected"].get("correct", False)),)
    assert scores.metrics["exact_accuracy"] == 100 * case["expected"]["exact"]


@pytest.mark.golden("seed")
def test_percentages_agree_with_the_original(family: dict[str, Any]) -> None:
    inputs = {case["id"]: case["input"] for case in family["cases"]}
    rows = [inputs[name] for name in family["aggregate"]["input_ids"]]
    targets = [SeedTarget(row["gold"], row["question_type_id"], OPTIONS) for row in rows]
    metrics = SeedScorer()([row["prediction"] for row in rows], targets).metrics
    expected = dict(family["aggregate"]["expected"])
    assert metrics["exact_accuracy"] == pytest.approx(100 * expected.pop("acc_at_1"))
    found = {name: metrics[NAMES.get(name, f"accuracy/{name}")] for name in expected}
    assert found == pytest.approx(expected, rel=0, abs=0.005 + family["tolerance"])  # printed with two decimals


def test_scores_in_any_order_and_headline_from_sums() -> None:
    generator = random.Random(0)
    texts = generator.choices(["A", " A", "B. Two", "", "Ａ", "Answer: C"], k=300)
    targets = [SeedTarget(generator.choice("ABCD"), generator.randint(1, 12), OPTIONS) for _ in texts]
    scorer = SeedScorer()
    scores = scorer(texts, targets)
    assert scorer.combine(np.array(scorer.statistics(texts, targets)).sum(axis=0)) == pytest.approx(
        scores.metrics["image_accuracy"]
    )
    metric = ScorerMetric(scorer, lambda value: SeedTarget(**value))
    metric.update(texts[200:], targets[200:])
    metric.update(texts[:200], targets[:200])
    assert {name: value.item() for name, value in metric.compute().items()} == dict(scores.metrics)


def test_parts_without_questions_are_nan_and_unread_answers_are_counted() -> None:
    assert all(map(math.isnan, SeedScorer()([], []).metrics.values()))
    scores = SeedScorer()(["", " A", "(A)"], [SeedTarget("A", 1, OPTIONS)] * 3)
    assert (scores.num_unparsed, scores.metrics["image_accuracy"]) == (3, 0.0)
    assert math.isnan(scores.metrics["video_accuracy"])
    assert scores.metrics["image_accuracy_corrected"] == pytest.approx(200 / 3)
