"""MMVP's rule against tests/golden/mmvp.json, and as a property."""

from __future__ import annotations

import math
import random
from typing import Any

import numpy as np
import pytest

from evaluate.metric import ScorerMetric
from evaluate.scorers.mmvp import MmvpScorer, MmvpTarget, judge_pairs

OPTIONS = {"A": "Open", "B": "Closed"}


def read_target(row: dict[str, Any]) -> MmvpTarget:
    return MmvpTarget(row["gold"], row["options"], row["pair"], row["gold"])


@pytest.mark.golden("mmvp")
def test_answer_agrees_with_the_original(case: dict[str, Any]) -> None:
    scores = MmvpScorer()([case["input"]["pred"]], [read_target(case["input"])])
    assert scores.samples == (float(case["expected"].get("correct", False)),)


@pytest.mark.golden("mmvp")
def test_pairs_agree_with_the_original_in_any_order(family: dict[str, Any]) -> None:
    inputs = {case["id"]: case["input"] for case in family["cases"]}
    rows = [inputs[name] for name in family["aggregate"]["input_ids"]]
    random.Random(1).shuffle(rows)
    metrics = MmvpScorer()([row["pred"] for row in rows], [*map(read_target, rows)]).metrics
    assert metrics["accuracy"] == pytest.approx(100 * family["aggregate"]["expected"]["accuracy"])
    for run in family["extra_runs"]:
        flags = run["correct_flags"]
        targets = [MmvpTarget("A", OPTIONS, number // 2, "A") for number in range(len(flags))]
        metrics = MmvpScorer()(["A" if flag else "B" for flag in flags], targets).metrics
        assert metrics["accuracy"] == pytest.approx(100 * run["accuracy"])
        assert len(judge_pairs(flags, targets)) == run["pairs_total"]


def test_sums_give_the_headline_whatever_the_order() -> None:
    generator = random.Random(0)
    targets = [MmvpTarget("AB"[number % 2], OPTIONS, number // 2, "A") for number in range(100)]
    texts = [generator.choice([target.answer, target.answer, "Closed", ""]) for target in targets]
    scorer = MmvpScorer()
    metrics = dict(scorer(texts, targets).metrics)
    order = generator.sample(range(100), 100)
    texts, targets = [texts[place] for place in order], [targets[place] for place in order]
    assert scorer.combine(np.array(scorer.statistics(texts, targets)).sum(axis=0)) == pytest.approx(metrics["accuracy"])
    metric = ScorerMetric(scorer, lambda value: MmvpTarget(**value))
    metric.update(texts, targets)
    assert {name: value.item() for name, value in metric.compute().items()} == metrics


def test_corrected_labels_are_another_metric_and_nothing_gives_nan() -> None:
    scorer = MmvpScorer()
    assert all(map(math.isnan, scorer([], []).metrics.values()))
    scores = scorer(["A", "(B)"], [MmvpTarget("A", OPTIONS, 0, "A"), MmvpTarget("B", OPTIONS, 0, "A")])
    assert scores.metrics == {
        "accuracy": 0.0,
        "single_accuracy": 50.0,
        "accuracy_corrected": 100.0,
        "accuracy_relabelled": 0.0,
    }
    assert scores.num_unparsed == 1
