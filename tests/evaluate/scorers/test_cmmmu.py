"""CMMMU's rule against tests/golden/cmmmu.json, by hand, and as a property."""

from __future__ import annotations

import doctest
import math
import random
import time
from typing import Any

import numpy as np
import pytest

from evaluate.choices import letter
from evaluate.metric import ScorerMetric
from evaluate.scorers import cmmmu
from evaluate.scorers.cmmmu import (
    BLANK,
    CHOICE,
    TRUE_OR_FALSE,
    CmmmuScorer,
    CmmmuTarget,
    find_numbers,
    read_blank,
    read_letters,
    read_statements,
    score_answer,
)


def read_target(row: dict[str, Any]) -> CmmmuTarget:
    return CmmmuTarget(row["type"], row["answer"], letter(row.get("options") or ()), row["subcategory"])


def same(values: list[Any], expected: list[Any]) -> bool:
    return sorted(map(repr, values)) == sorted(map(repr, expected))


@pytest.mark.golden("cmmmu", kind="extract_numbers")
def test_numbers_agree_with_the_original(case: dict[str, Any]) -> None:
    assert find_numbers(case["input"]["text"]) == case["expected"]["numbers"]


@pytest.mark.golden("cmmmu", kind="sample")
def test_sample_agrees_with_the_original(case: dict[str, Any]) -> None:
    target, text, parsed = read_target(case["input"]), case["input"]["response"], case["expected"].get("parsed")
    right, chance = score_answer(text, target)
    if "raises" in case["expected"]:
        assert not right
        return
    if case.get("random"):
        assert right is None
        assert chance in (0.0, 0.25, 0.5)
    else:
        assert right == chance == case["expected"]["correct"]
    if target.kind == CHOICE:
        assert read_letters(text, target.options) == (parsed or "")
    elif target.kind == BLANK:
        assert same([*read_blank(text, target.answer)], [*parsed["strings"], *parsed["numbers"]])
    else:
        assert same([*read_statements(text)], parsed["strings"])


@pytest.mark.golden("cmmmu")
def test_table_agrees_with_the_original(family: dict[str, Any]) -> None:
    inputs = {case["id"]: case["input"] for case in family["cases"]}
    rows = [inputs[name] for name in family["aggregate"]["input_ids"]]
    random.Random(1).shuffle(rows)
    metrics = CmmmuScorer()([row["response"] for row in rows], [*map(read_target, rows)]).metrics
    for name, values in family["aggregate"]["expected"].items():
        domain = name.removeprefix("Overall-")
        key = "" if name == "Overall" else f"/subject={name}" if domain == name else f"/domain={domain}"
        assert metrics[f"accuracy{key}"] / 100 == pytest.approx(values["acc"], abs=0.0005 + family["tolerance"])


OPTIONS = letter(["红色", "蓝色", "绿色", "黄色"])


def test_expectation_and_correction_stand_beside_the_headline() -> None:
    choice = CmmmuTarget(CHOICE, "A", OPTIONS, "设计")
    several = CmmmuTarget(CHOICE, "AB", OPTIONS, "设计")
    false = CmmmuTarget(TRUE_OR_FALSE, "错", {}, "数学")
    scores = CmmmuScorer()(["无法判断", "", "无法判断", "yes", "不正确"], [choice, choice, several, false, false])
    assert (scores.samples, scores.num_unparsed) == ((0.0,) * 5, 4)
    assert scores.metrics["accuracy_expected"] == pytest.approx(100 * (0.25 + 0.5) / 5)
    assert scores.metrics["accuracy_corrected"] == 20.0
    assert scores.metrics["accuracy/kind=判断"] == 0.0


def test_order_does_not_matter_and_sums_give_the_headline() -> None:
    generator = random.Random(0)
    texts = generator.choices(["A", "(B)", "答案是 5。", "", "对", "不对", "错的"], k=200)
    kinds = [(CHOICE, "A", OPTIONS), (BLANK, "5", {}), (TRUE_OR_FALSE, "对", {})]
    targets = [CmmmuTarget(*generator.choice(kinds), generator.choice(["数学", "设计"])) for _ in texts]
    scorer = CmmmuScorer()
    scores = scorer(texts, targets)
    assert scorer.combine(np.array(scorer.statistics(texts, targets)).sum(axis=0)) == pytest.approx(
        scores.metrics["accuracy"]
    )
    metric = ScorerMetric(scorer, lambda value: CmmmuTarget(**value))
    metric.update(texts[70:], targets[70:])
    metric.update(texts[:70], targets[:70])
    assert {name: value.item() for name, value in metric.compute().items()} == dict(scores.metrics)


def test_nothing_gives_nan_and_long_answers_are_read_quickly() -> None:
    assert all(map(math.isnan, CmmmuScorer()([], []).metrics.values()))
    assert doctest.testmod(cmmmu).failed == 0
    start = time.perf_counter()
    for text in (
        "1" * 100_000,
        "1" * 100_000 + "，1",
        "1，234" * 20_000,
        "答案是。" * 25_000,
        "1e" * 50_000,
        "对" * 100_000,
    ):
        for kind in (CHOICE, BLANK, TRUE_OR_FALSE):
            score_answer(text, CmmmuTarget(kind, "A", OPTIONS, "设计"))
    assert time.perf_counter() - start < 3
