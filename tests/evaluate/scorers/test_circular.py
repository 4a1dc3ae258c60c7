"""MMBench's rule against tests/golden/mmbench.json, by eye, and as a property."""

from __future__ import annotations

import doctest
import math
import random
import time
from typing import Any

import numpy as np
import pytest

from evaluate.metric import ScorerMetric
from evaluate.scorers import circular
from evaluate.scorers.choice import read_letter
from evaluate.scorers.circular import ROTATION, CircularScorer, MMBenchTarget, infer_option, read_uploaded

SHORT = {
    "attribute_reasoning": "AR",
    "coarse_perception": "CP",
    "finegrained_perception (cross-instance)": "FP-C",
    "finegrained_perception (instance-level)": "FP-S",
    "logic_reasoning": "LR",
    "relation_reasoning": "RR",
}


def read_target(row: dict[str, Any]) -> MMBenchTarget:
    options = {name: row[name] for name in "ABCDE" if row.get(name)}
    return MMBenchTarget(row["index"], row["GT"], options, row["category"], row["l2-category"])


@pytest.mark.golden("mmbench", kind="post_process")
def test_letter_agrees_with_the_original(case: dict[str, Any]) -> None:
    said = read_letter(case["input"]["pred"], case["input"]["options"])
    if "raises" in case["expected"]:
        assert said not in case["input"]["options"]
    else:
        assert said == case["expected"]["answer"]


@pytest.mark.golden("mmbench", kind="can_infer")
def test_matching_agrees_with_the_original(case: dict[str, Any]) -> None:
    # Numbers among texts are an accident of reading tables; ours are always texts.
    options = {name: str(text) for name, text in case["input"]["choices"].items()}
    said = infer_option(str(case["input"]["prediction"]), options)
    assert said == (case["expected"]["option"] or None) if "option" in case["expected"] else said is None


@pytest.mark.golden("mmbench", kind="circular_group")
def test_group_agrees_with_the_original(case: dict[str, Any]) -> None:
    rows = case["input"]["rows"]
    targets = [*map(read_target, rows)]
    metrics = CircularScorer(infer_option)([str(row["prediction"]) for row in rows], targets).metrics
    assert metrics["accuracy"] == 100 * case["expected"].get("hit", 0)


@pytest.mark.golden("mmbench")
def test_accuracies_agree_with_the_original(family: dict[str, Any]) -> None:
    groups = {case["id"]: case["input"] for case in family["cases"]}
    rows = [row for name in family["aggregate"]["input_ids"] for row in groups[name]["rows"]]
    random.Random(1).shuffle(rows)
    scorer = CircularScorer(infer_option)
    metrics = scorer([str(row["prediction"]) for row in rows], [*map(read_target, rows)]).metrics
    expected = {name: value for name, value in family["aggregate"]["expected"].items() if name != "split"}
    found = {"Overall": metrics["accuracy"] / 100}
    for name, value in metrics.items():
        kind, _, key = name.partition("=")
        if kind == "accuracy/l2-category":
            found[SHORT.get(key, key)] = value / 100
        elif kind == "accuracy/category":
            found[key] = value / 100
    assert found == pytest.approx(expected, abs=family["tolerance"])


OPTIONS = {"A": "cat", "B": "dog", "C": "fish"}


def test_answers_are_read_as_they_are_uploaded() -> None:
    texts = ["B.", "Cat", "the dog", "(B)", "b", "", "Because"]
    assert [read_uploaded(text, OPTIONS) for text in texts] == ["B", "C", "B", "B", None, None, "B"]


def test_one_wrong_rotation_is_a_wrong_question() -> None:
    targets = [MMBenchTarget(5 + turn * ROTATION, "ABC"[turn], OPTIONS, "ocr", "fine") for turn in range(3)]
    targets.append(MMBenchTarget(6, "A", OPTIONS, "scene"))
    scores = CircularScorer()(["A", "B", "A", "(A)"], targets)
    assert scores.samples == (1.0, 1.0, 0.0, 1.0)
    assert scores.metrics == {
        "accuracy": 50.0,
        "vanilla_accuracy": 100.0,
        "accuracy_corrected": 50.0,
        "accuracy/category=ocr": 0.0,
        "accuracy/category=scene": 100.0,
        "accuracy/l2-category=fine": 0.0,
    }


def test_order_does_not_matter_and_sums_give_the_headline() -> None:
    generator = random.Random(0)
    targets = [
        MMBenchTarget(number + turn * ROTATION, generator.choice("ABC"), OPTIONS, f"c{number % 5}", f"l{number % 2}")
        for number in range(100)
        for turn in range(2)
    ]
    texts = [generator.choice([target.answer] * 4 + ["Z", "猫", ""]) for target in targets]
    scorer = CircularScorer()
    metrics = dict(scorer(texts, targets).metrics)
    order = generator.sample(range(200), 200)
    texts, targets = [texts[place] for place in order], [targets[place] for place in order]
    assert scorer.combine(np.array(scorer.statistics(texts, targets)).sum(axis=0)) == pytest.approx(metrics["accuracy"])
    metric = ScorerMetric(scorer, lambda value: MMBenchTarget(**value))
    metric.update(texts, targets)
    assert {name: value.item() for name, value in metric.compute().items()} == metrics


def test_nothing_gives_nan_and_long_answers_are_read_quickly() -> None:
    assert all(map(math.isnan, CircularScorer()([], []).metrics.values()))
    assert doctest.testmod(circular).failed == 0
    start = time.perf_counter()
    for text in ("answer is " * 10_000, "answer" + " " * 100_000, "." * 100_000, "A " * 50_000):
        assert infer_option(text, OPTIONS) in (None, "A")
    assert time.perf_counter() - start < 1
