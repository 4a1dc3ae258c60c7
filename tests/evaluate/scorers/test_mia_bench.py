"""MIA-Bench's averages against tests/golden/mia_aggregate.json, and what stands beside them by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest

from evaluate.judging import Verdict
from evaluate.scorer import NoAnswer
from evaluate.scorers.mia_bench import MiaTarget, average_official, average_repeated, mia_bench

GOOD = "score of component 1: 3/6, score of component 2: 4/4, total score: 7/10. Good."


def target(*kinds: str, kind: str = "basic", weights: tuple[int, ...] = (6, 4)) -> MiaTarget:
    return MiaTarget("Say hi.", kind, tuple(f"part {name}" for name in kinds), weights, kinds)


@pytest.mark.golden("mia_aggregate")
def test_means_agree_with_the_original(family: dict[str, Any]) -> None:
    cases = [case for case in family["cases"] if case["input"]["fn"] == "average"]
    if not cases:
        pytest.skip("no mia_aggregate of kind average")
    for case in cases:
        rows, expected = case["input"]["rows"], case["expected"]
        targets = [target(*row["component_type"], weights=(2,) * len(row["component_type"])) for row in rows]
        said = [Verdict(row["raw_score"] or "", "ok" if row["raw_score"] else "api_error") for row in rows]
        found = average_official(said, targets)
        assert {name: mean for name, (mean, _) in found.items()} == pytest.approx(expected, rel=0, abs=1e-9)
        metrics = mia_bench()(said, targets).metrics
        total = expected.get("total_score", math.nan)
        for name in ("score", "score_official"):
            assert metrics[name] == pytest.approx(100 * total, rel=0, abs=1e-7, nan_ok=True)
        shown = {name.split("=")[1]: value / 100 for name, value in metrics.items() if "score/component" in name}
        assert shown == pytest.approx({n: m for n, m in expected.items() if n != "total_score"}, rel=0, abs=1e-9)


def test_every_number_by_hand() -> None:
    said = [
        Verdict(GOOD),
        Verdict("score of component 1: 6/6, score of component 2: 2/4, total score: 9/10."),
        Verdict("**Component 1**: 3/6\n**Component 2**: 1/4\n**Total score**: 4/10", "parse_error"),
        Verdict("", "no_prediction"),
    ]
    targets = [target("describe", "math"), target("math", "math", kind="complex"), target("a", "b"), target("a", "b")]
    scores = mia_bench()(said, targets)
    assert scores.samples == (0.7, 0.9, None, None)
    assert scores.num_unparsed == 1
    assert scores.metrics == pytest.approx(
        {
            "score": 80,
            "score_official": 80,
            "score_strict": 40,
            "score_recomputed": (70 + 80) / 2,
            "score_tolerant": (70 + 90 + 40) / 3,
            "coverage": 50,
            "coverage_tolerant": 75,
            "score/type=basic": 70,
            "score/type=complex": 90,
            "num/type=basic": 1,
            "num/type=complex": 1,
            "score/component=describe": 50,
            "score/component=math": 75,
            "num/component=describe": 1,
            "num/component=math": 2,
            "score_averaged/component=describe": 50,
            "score_averaged/component=math": (100 + 75) / 2,
            "num_sums_differ": 1,
        }
    )


def test_no_answer_is_nothing_in_the_headline_and_out_of_the_published_number() -> None:
    metrics = mia_bench()([Verdict(GOOD), NoAnswer()], [target("a", "b")] * 2).metrics
    assert (metrics["score"], metrics["score_official"], metrics["score_strict"]) == pytest.approx((35, 70, 35))


def test_repeated_kinds_are_averaged_and_missing_components_are_left_out() -> None:
    one = "score of component 1: 3/6, total score: 7/10."
    assert average_repeated([Verdict(one)], [target("a", "b")]) == {"a": 0.5}
    assert mia_bench()([Verdict(one)], [target("a", "b")]).metrics["score_recomputed"] == pytest.approx(50)
