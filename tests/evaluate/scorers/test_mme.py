"""MME's rule against tests/golden/mme.json, by hand, and as a property."""

from __future__ import annotations

import math
import random
import time
from typing import Any

import numpy as np
import pytest

from evaluate.metric import ScorerMetric
from evaluate.scorers.mme import CATEGORIES, MmeScorer, MmeTarget, clean_answer, read_label

LOST = "\t"
"""What the table loses, as it loses a broken line."""


def read_run(files: dict[str, list[str]]) -> tuple[list[str], list[MmeTarget]]:
    """Answers and targets of result files, two lines a picture; a broken line has an answer that is lost."""
    texts, targets = [], []
    for category, lines in files.items():
        for number, line in enumerate(lines):
            cells = line.rstrip("\n").split("\t")
            texts.append(cells[3] if len(cells) == 4 else LOST)
            positive = len(cells) > 2 and cells[2].lower() == "yes"
            targets.append(MmeTarget(positive, category, str(number // 2)))
    return texts, targets


@pytest.mark.golden("mme", kind="response_postprocess")
def test_cleaning_agrees_with_the_original(case: dict[str, Any]) -> None:
    assert clean_answer(case["input"]["text"]) == case["expected"]["text"]


@pytest.mark.golden("mme", kind="parse")
def test_label_agrees_with_the_original(case: dict[str, Any]) -> None:
    assert read_label(case["input"]["text"]) == case["expected"]["label"]


@pytest.mark.golden("mme", kind="line")
def test_line_agrees_with_the_original(case: dict[str, Any]) -> None:
    # Lines hold cleaned answers, and these cases some that no cleaning leaves: only the label is compared.
    cells = case["input"]["line"].split("\t")
    label = read_label(cells[3])
    assert label == case["expected"]["label"]
    assert (label == cells[2].lower()) == case["expected"]["hit"]


@pytest.mark.golden("mme", kind="run")
def test_run_agrees_with_the_original(case: dict[str, Any], family: dict[str, Any]) -> None:
    texts, targets = read_run(case["input"]["files"])
    scores, expected = MmeScorer(clean=False)(texts, targets), case["expected"]
    if "raises" in expected:  # data that our loader refuses; the rule still judges every line
        assert len(scores.samples) == len(texts)
        return
    near = {"rel": 0, "abs": 100 * family["tolerance"]}
    assert scores.metrics["perception"] == pytest.approx(expected["perception"], **near)
    assert scores.metrics["cognition"] == pytest.approx(expected["cognition"], **near)
    for category, values in expected["tasks"].items():
        assert scores.metrics[f"accuracy/{category}"] == pytest.approx(100 * values["acc"], **near)
        assert scores.metrics[f"accuracy_plus/{category}"] == pytest.approx(100 * values["acc_plus"], **near)
        assert scores.metrics[f"score/{category}"] == pytest.approx(values["score"], **near)
    others = sum(values["other_num"] for values in expected["tasks"].values())
    assert scores.num_unparsed == others + texts.count(LOST)


@pytest.mark.golden("mme")
def test_aggregate_agrees_with_the_original(family: dict[str, Any]) -> None:
    [name] = family["aggregate"]["input_ids"]
    texts, targets = read_run(next(case["input"]["files"] for case in family["cases"] if case["id"] == name))
    metrics = MmeScorer(clean=False)(texts, targets).metrics
    expected = family["aggregate"]["expected"]
    found = {key: metrics[f"score/{key}"] for key in expected["tasks"]}
    assert found == pytest.approx(expected["tasks"])
    assert [metrics["perception"], metrics["cognition"]] == pytest.approx([expected[key] for key in list(expected)[:2]])


def make_answers(num_pictures: int = 3) -> tuple[list[str], list[MmeTarget]]:
    generator = random.Random(3)
    targets = [
        MmeTarget(positive, category, f"{number}.jpg")
        for category in CATEGORIES
        for number in range(num_pictures)
        for positive in (True, False)
    ]
    return generator.choices(["Yes", "No.", "不是", "", "a\tb", "The answer is yes"], k=len(targets)), targets


def test_order_of_samples_does_not_matter_and_sums_give_the_headline() -> None:
    texts, targets = make_answers()
    scorer = MmeScorer()
    metrics = dict(scorer(texts, targets).metrics)
    sums = np.array(scorer.statistics(texts, targets)).sum(axis=0)
    assert scorer.combine(np.stack([sums, 5 * sums])) == pytest.approx([metrics["perception"]] * 2)
    assert sums[3::4].tolist() == [3.0] * 14
    rows = list(zip(texts, targets, strict=True))
    random.Random(1).shuffle(rows)
    texts, targets = [row[0] for row in rows], [row[1] for row in rows]
    assert dict(scorer(texts, targets).metrics) == metrics
    metric = ScorerMetric(scorer, lambda value: MmeTarget(**value))
    for start in range(0, len(texts), 10):
        metric.update(texts[start : start + 10], targets[start : start + 10])
    assert {name: value.item() for name, value in metric.compute().items()} == metrics
    # A category that a draw does not hold makes that draw undefined.
    assert math.isnan(scorer.combine(np.where(np.arange(56) < 4, 0, sums)))


def test_answers_that_say_yes_late_count_in_the_corrected_rule_only() -> None:
    _, targets = make_answers(1)
    metrics = MmeScorer()(["The answer is yes." if t.positive else "I'd say\tno" for t in targets], targets).metrics
    assert (metrics["perception"], metrics["cognition"]) == (0.0, 0.0)
    assert (metrics["perception_corrected"], metrics["cognition_corrected"]) == (2000.0, 800.0)


def test_nothing_gives_nan_and_long_answers_are_read_quickly() -> None:
    metrics = MmeScorer()([], []).metrics
    assert all(map(math.isnan, metrics.values()))
    start = time.perf_counter()
    MmeScorer()(["是不" * 50_000, "true" * 25_000], [MmeTarget(True, "OCR", "a")] * 2)
    assert time.perf_counter() - start < 1
