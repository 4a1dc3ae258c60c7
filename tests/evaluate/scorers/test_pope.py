"""POPE's rule against tests/golden/pope.json, by eye, and as a property."""

from __future__ import annotations

import math
import random
import time
from typing import Any

import numpy as np
import pytest

from evaluate.metric import ScorerMetric
from evaluate.scorers.pope import Confusion, PopeScorer, PopeTarget, count_answers, says_yes

KEYS = {"TP": "true_positives", "FP": "false_positives", "TN": "true_negatives", "FN": "false_negatives"}


def list_targets(category: dict[str, Any]) -> list[PopeTarget]:
    return [PopeTarget(label != "no", category["category"]) for label in category["labels"]]


@pytest.mark.golden("pope", kind="parse")
def test_reading_agrees_with_the_original(case: dict[str, Any]) -> None:
    assert says_yes(case["input"]["text"]) == (case["expected"]["answer"] == "yes")


@pytest.mark.golden("pope", kind="category_run")
def test_category_agrees_with_the_original(case: dict[str, Any], family: dict[str, Any]) -> None:
    texts, targets, expected = case["input"]["texts"], list_targets(case["input"]), case["expected"]
    # The original cuts the longer list; ours joins by name, so that both always have one length.
    count = min(len(texts), len(targets))
    confusion = count_answers(map(says_yes, texts[:count]), [target.positive for target in targets[:count]])
    measured = confusion.measure()
    if "raises" in expected:
        assert 0.0 in measured.values()
        return
    assert {key: getattr(confusion, name) for key, name in KEYS.items()} == {key: expected[key] for key in KEYS}
    keys = ["accuracy", "precision", "recall", "f1", *(["yes_ratio"] if len(texts) == len(targets) else [])]
    assert {key: measured[key] for key in keys} == pytest.approx(
        {key: expected[key] for key in keys}, rel=0, abs=family["tolerance"]
    )


@pytest.mark.golden("pope")
def test_whole_run_agrees_with_the_original(family: dict[str, Any]) -> None:
    inputs = {case["id"]: case["input"] for case in family["cases"]}
    runs = [inputs[name] for name in family["aggregate"]["input_ids"]]
    texts = [text for run in runs for text in run["texts"]]
    targets = [target for run in runs for target in list_targets(run)]
    metrics = PopeScorer()(texts, targets).metrics
    expected = family["aggregate"]["expected"]
    assert metrics["f1"] == pytest.approx(expected["overall_f1_percent"], abs=0.005 + family["tolerance"])
    for category, values in expected["per_category"].items():
        found = [metrics[f"{key}/{category}"] for key in ("f1", "accuracy", "precision", "recall")]
        assert found == pytest.approx([100 * values[key] for key in ("f1", "accuracy", "precision", "recall")])
        assert metrics[f"yes_ratio/{category}"] == pytest.approx(values["yes_ratio"])


def make_answers(count: int, seed: int = 0) -> tuple[list[str], list[PopeTarget]]:
    generator = random.Random(seed)
    texts = generator.choices(["yes", "No", "NO", "", "没有", "Yes, there is."], k=count)
    return texts, [PopeTarget(generator.random() < 0.5, generator.choice("abc")) for _ in range(count)]


def test_headline_equals_what_the_sums_give_and_order_does_not_matter() -> None:
    texts, targets = make_answers(200)
    scorer = PopeScorer()
    metrics = dict(scorer(texts, targets).metrics)
    sums = np.array(scorer.statistics(texts, targets)).sum(axis=0)
    assert scorer.combine(sums) == pytest.approx(metrics["f1"])
    assert scorer.combine(np.stack([sums, 3 * sums])) == pytest.approx([metrics["f1"]] * 2)
    assert math.isnan(scorer.combine(sums * np.repeat([0, 1, 1], 4)))
    rows = list(zip(texts, targets, strict=True))
    random.Random(1).shuffle(rows)
    metric = ScorerMetric(scorer, lambda value: PopeTarget(**value))
    for start in range(0, 200, 70):
        metric.update(*map(list, zip(*rows[start : start + 70], strict=True)))
    assert {name: value.item() for name, value in metric.compute().items()} == metrics


def test_no_answers_at_all_and_none_that_can_be_read() -> None:
    scorer = PopeScorer()
    assert math.isnan(scorer([], []).metrics["f1"])
    targets = [PopeTarget(True, "a"), PopeTarget(False, "a")]
    scores = scorer(["", "?"], targets)
    assert (scores.num_unparsed, scores.samples) == (2, (1.0, 0.0))
    assert scores.metrics["recall"] == 100.0
    assert (scores.metrics["f1_corrected"], scores.metrics["accuracy_corrected"]) == (0.0, 0.0)
    assert Confusion().measure()["f1"] == 0.0


def test_very_long_answer_is_read_quickly() -> None:
    start = time.perf_counter()
    for text in ("no" * 50_000, "isn'" * 25_000, "a " * 50_000):
        says_yes(text)
    assert time.perf_counter() - start < 1
