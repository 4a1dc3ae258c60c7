"""ANLS against tests/golden/anls.json, by eye, and as a property."""

from __future__ import annotations

import math
import random
import time
from typing import Any

import pytest
from rapidfuzz.distance.Levenshtein import distance

from evaluate.benchmarks.docvqa import list_groups
from evaluate.scorers.anls import ANLSTarget, anls, score_anls

KINDS = {"answer_types": "answer_type", "evidence_types": "evidence", "operation_types": "operation/reasoning"}


def read_target(sample: dict[str, Any]) -> ANLSTarget:
    row = {**sample, "operation/reasoning": sample.get("reasoning")}
    return ANLSTarget(tuple(sample["answers"]), list_groups(row))


@pytest.mark.golden("anls", kind="anls")
def test_value_agrees_with_the_original(case: dict[str, Any], family: dict[str, Any]) -> None:
    # Where the original stops ("raises") it gives no value, and the question counts as wrong.
    expected = case.get("expected", {}).get("score", 0.0)
    value = score_anls(case["input"]["answer"], read_target(case["input"]))
    assert value == pytest.approx(expected, rel=0, abs=family["tolerance"])


@pytest.mark.golden("anls", kind="levenshtein")
def test_distance_agrees_with_the_original(case: dict[str, Any]) -> None:
    first, second = case["input"]["s1"], case["input"]["s2"]
    assert distance(first, second) == distance(second, first) == case["expected"]["distance"]


@pytest.mark.golden("anls")
def test_means_over_all_and_per_type_agree_with_the_original(family: dict[str, Any]) -> None:
    inputs = {case["id"]: case["input"] for case in family["cases"]}
    samples = [inputs[name] for name in family["aggregate"]["input_ids"]]
    metrics = anls()([sample["answer"] for sample in samples], [*map(read_target, samples)]).metrics
    stored = family["aggregate"]["expected"]
    types = stored["aggregate_by_type"] if "aggregate_by_type" in stored else stored["scores_by_types"]
    expected = {"anls": 100 * stored["score"]}
    for kind, values in types.items():
        # The original prints 0 for a type that no question has; here it is left out.
        found = {f"anls/{KINDS[kind]}={name}": 100 * value for name, value in values.items()}
        expected |= {name: value for name, value in found.items() if value or name in metrics}
    assert metrics == pytest.approx(expected, rel=0, abs=100 * family["tolerance"])


@pytest.mark.parametrize(
    ("prediction", "answers", "value"),
    [
        ("new york city", ["New York"], 8 / 13),
        ("12", ["12%"], 2 / 3),
        ("ab", ["ad"], 0.5),
        ("ab  ", ["ad"], 0.75),
        ("", [""], 1.0),
        ("a", ["b"], 0.0),
        ("ab", ["xy", "ac", "zz"], 0.5),
        ("TWO\nlines", ["two  lines"], 1.0),
        ("cat", [], 0.0),
        ("日本", ["日本語"], 2 / 3),
    ],
)
def test_value_by_eye(prediction: str, answers: list[str], value: float) -> None:
    assert score_anls(prediction, ANLSTarget(tuple(answers))) == pytest.approx(value, abs=1e-12)


def test_order_does_not_matter_and_nothing_gives_nan() -> None:
    generator = random.Random(3)
    rows = [
        (
            "".join(generator.choices("ab c", k=generator.randint(0, 6))),
            ANLSTarget(("abba", "c a"), (f"evidence={generator.choice(['Map', 'Text'])}",)),
        )
        for _ in range(200)
    ]
    expected = anls()(*zip(*rows, strict=True)).metrics
    generator.shuffle(rows)
    assert anls()(*zip(*rows, strict=True)).metrics == expected
    assert 0 < expected["anls"] < 100
    assert math.isnan(anls()([], []).metrics["anls"])


def test_very_long_answers_are_scored_in_reasonable_time() -> None:
    start = time.perf_counter()
    assert score_anls("word " * 20_000, ANLSTarget(("word",) * 20)) == 0.0
    assert score_anls("word " * 1_000, ANLSTarget(("wort " * 1_000,))) == pytest.approx(0.8)
    assert time.perf_counter() - start < 5
