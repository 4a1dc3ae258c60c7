"""MMMU's rule against tests/golden/mmmu.json, by hand, and as a property."""

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
from evaluate.scorers import mmmu
from evaluate.scorers.choice import read_letter
from evaluate.scorers.mmmu import (
    SUBJECTS,
    MmmuScorer,
    MmmuTarget,
    find_numbers,
    normalize,
    read_official_letter,
    read_open,
    score_open,
)
from evaluate.scorers.open_answer import matches_any


def list_answers(gold: str | list[str]) -> tuple[str, ...]:
    return (gold,) if isinstance(gold, str) else tuple(gold)


def read_target(row: dict[str, Any]) -> MmmuTarget:
    subject = "_".join(row["data_id"].split("_")[1:-1])
    return MmmuTarget(list_answers(row["gold"]), row["options"], subject)


def same(values: list[Any], expected: list[Any]) -> bool:
    return sorted(map(repr, values)) == sorted(map(repr, expected))


@pytest.mark.golden("mmmu", kind="parse_multi_choice")
def test_official_letter_agrees_and_is_none_where_it_is_drawn(case: dict[str, Any]) -> None:
    said = read_official_letter(case["input"]["response"], letter(case["input"]["options"]))
    assert said == case["expected"].get("letter")


@pytest.mark.golden("mmmu", kind="extract_numbers")
def test_numbers_agree_with_the_original(case: dict[str, Any]) -> None:
    assert find_numbers(case["input"]["text"]) == case["expected"]["numbers"]


@pytest.mark.golden("mmmu", kind="normalize_str")
def test_normal_forms_agree_with_the_original(case: dict[str, Any]) -> None:
    assert same(normalize(case["input"]["text"]), case["expected"]["values"])


@pytest.mark.golden("mmmu", kind="parse_open")
def test_meanings_of_an_open_answer_agree_with_the_original(case: dict[str, Any]) -> None:
    expected = [*case["expected"]["strings"], *case["expected"]["numbers"]]
    assert same([*read_open(case["input"]["response"])], expected)


@pytest.mark.golden("mmmu", kind="open_end_to_end")
def test_open_answers_agree_with_the_original(case: dict[str, Any]) -> None:
    assert score_open(case["input"]["response"], list_answers(case["input"]["gold"])) == case["expected"]["correct"]


@pytest.mark.golden("mmmu", kind="eval_open")
def test_meanings_match_as_in_the_original(case: dict[str, Any]) -> None:
    said = case["input"]["pred"]
    values = [*said["strings"], *said["numbers"]] if isinstance(said, dict) else said
    wanted = [value for answer in list_answers(case["input"]["gold"]) for value in normalize(answer)]
    assert matches_any(values, wanted) == case["expected"]["correct"]


@pytest.mark.golden("mmmu", kind="eval_multi_choice")
def test_letters_agree_with_the_original(case: dict[str, Any]) -> None:
    target = MmmuTarget(list_answers(case["input"]["gold"]), {"A": "x", "B": "y", "C": "z"}, "Math")
    assert MmmuScorer()([case["input"]["pred"]], [target]).samples == (float(case["expected"]["correct"]),)


@pytest.mark.golden("mmmu", kind="sample")
def test_sample_agrees_with_the_original(case: dict[str, Any]) -> None:
    row = case["input"]
    if "raises" in case["expected"]:
        assert MmmuScorer()([row["model_text"]], [read_target(row)]).samples == (0.0,)
        return
    stored = read_letter(row["model_text"], row["options"]) if row["options"] else row["model_text"]
    assert stored == case["expected"]["stored"]
    assert MmmuScorer()([row["model_text"]], [read_target(row)]).samples == (float(case["expected"]["correct"]),)


@pytest.mark.golden("mmmu")
def test_table_agrees_with_the_original(family: dict[str, Any]) -> None:
    inputs = {case["id"]: case["input"] for case in family["cases"]}
    rows = [inputs[name] for name in family["aggregate"]["input_ids"]]
    random.Random(1).shuffle(rows)
    metrics = MmmuScorer()([row["model_text"] for row in rows], [*map(read_target, rows)]).metrics
    for name, values in family["aggregate"]["expected"].items():
        domain = name.removeprefix("Overall-")
        key = "" if name == "Overall" else f"/subject={name}" if domain == name else f"/domain={domain}"
        assert metrics[f"accuracy{key}"] / 100 == pytest.approx(values["acc"], abs=0.0005 + family["tolerance"])


OPTIONS = {"A": "cat", "B": "dog", "C": "fish", "D": "a cow"}


def test_expectation_is_the_mean_of_drawn_letters() -> None:
    texts = ["unclear", "(B) it is", "it is a dog", "", "so x is 3"]
    targets = [*(MmmuTarget((name,), OPTIONS, "Math") for name in "ABBC"), MmmuTarget(("3.0", "x"), {}, "Math")]
    scores = MmmuScorer()(texts, targets)
    assert scores.samples == (0.0, 0.0, 1.0, 0.0, 1.0)
    assert scores.num_unparsed == 3
    assert scores.metrics["accuracy_corrected"] == pytest.approx(100 * 3 / 5)
    assert scores.metrics["accuracy_official"] == pytest.approx(100 * 2 / 5)
    assert scores.metrics["accuracy_official_expected"] == pytest.approx(100 * (2 + 3 / 4) / 5)


def test_order_does_not_matter_and_sums_give_the_headline() -> None:
    generator = random.Random(0)
    texts = generator.choices(["A", "(B)", "答案是 5", "", "The answer is 5.0", "x = 1e3"], k=200)
    answers = [(("B",), OPTIONS), (("5", "five"), {}), (("1000",), {})]
    targets = [MmmuTarget(*generator.choice(answers), generator.choice(SUBJECTS)) for _ in texts]
    scorer = MmmuScorer()
    scores = scorer(texts, targets)
    assert scorer.combine(np.array(scorer.statistics(texts, targets)).sum(axis=0)) == pytest.approx(
        scores.metrics["accuracy"]
    )
    metric = ScorerMetric(scorer, lambda value: MmmuTarget(tuple(value["answers"]), value["options"], value["subject"]))
    metric.update(texts[70:], targets[70:])
    metric.update(texts[:70], targets[:70])
    assert {name: value.item() for name, value in metric.compute().items()} == dict(scores.metrics)
    assert len(SUBJECTS) == 30


def test_nothing_gives_nan_and_long_answers_are_read_quickly() -> None:
    assert all(map(math.isnan, MmmuScorer()([], []).metrics.values()))
    assert doctest.testmod(mmmu).failed == 0
    start = time.perf_counter()
    for text in ("1" * 100_000, "1" * 100_000 + ",1", "0." + "1" * 100_000 + ",1", "1," * 50_000, "1,234" * 20_000):
        score_open(text, ["x"])
    for text in ("so is thus " * 10_000, "1e" * 50_000, "-" * 100_000, "1.1" * 30_000, "(A) " * 25_000):
        score_open(text, ["x"])
        read_official_letter(text, OPTIONS)
    assert time.perf_counter() - start < 3
