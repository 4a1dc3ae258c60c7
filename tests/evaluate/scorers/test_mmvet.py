"""MM-Vet's averages against tests/golden/mmvet.json, and grades that are missing."""

from __future__ import annotations

import doctest
from typing import Any

import pytest

from evaluate.judging import Verdict
from evaluate.scorer import NoAnswer
from evaluate.scorers import mmvet as module
from evaluate.scorers.mmvet import MmvetTarget, mmvet, spread_runs


def target(*capabilities: str) -> MmvetTarget:
    return MmvetTarget("What?", "A cat", capabilities)


@pytest.mark.golden("mmvet", kind="aggregate_run")
def test_averages_agree_with_the_original(case: dict[str, Any], family: dict[str, Any]) -> None:
    items, grades, expected = case["input"]["items"], case["input"]["grades"], case["expected"]
    verdicts = [Verdict(" ".join(map(repr, grades[name]))) for name in items]
    metrics = mmvet()(verdicts, [target(*capabilities) for capabilities in items.values()]).metrics
    near = {"rel": 0, "abs": family["tolerance"]}
    digits = case["input"]["decimals"]
    for kind, stored in (("capability", "by_capability"), ("combination", "by_integration")):
        start = f"score/{kind}="
        found = {n.removeprefix(start): round(value, digits) for n, value in metrics.items() if n.startswith(start)}
        assert found == pytest.approx(expected[stored], **near)
    for name in ("score", "score_official", "score_strict"):
        assert round(metrics[name], digits) == pytest.approx(expected["total"], **near)
    means, spread = spread_runs([grades[name] for name in items])
    assert [round(mean, digits) for mean in means] == pytest.approx(expected["runs"], **near)
    assert round(spread, digits) == pytest.approx(expected["std"], **near)
    assert round(metrics.get("score_official_spread", 0.0), digits) == pytest.approx(expected["std"], **near)


def test_answers_without_a_grade_are_missing_and_nothing_in_the_published_number() -> None:
    said = [Verdict("0.5"), Verdict("1.0"), Verdict("-", "parse_error"), Verdict("", "api_error"), NoAnswer()]
    scores = mmvet()(said, [target("ocr"), *[target("ocr", "math")] * 4])
    assert scores.samples == (0.5, 1.0, None, None, 0.0)
    assert scores.metrics["score"] == pytest.approx(50)
    assert scores.metrics["score_official"] == scores.metrics["score_strict"] == pytest.approx(30)
    assert (scores.metrics["coverage"], scores.num_unparsed) == (40, 1)
    assert scores.metrics["score/capability=ocr"] == pytest.approx(50)
    assert scores.metrics["score/combination=math_ocr"] == pytest.approx(50)
    assert scores.metrics["score/combination=ocr"] == pytest.approx(50)


def test_several_runs_are_averaged_and_one_without_a_grade_makes_none() -> None:
    said = [Verdict("0.5 1.0"), Verdict("0.0 -", "parse_error"), Verdict("", "api_error")]
    scores = mmvet()(said, [target("rec")] * 3)
    assert scores.samples == (0.75, None, None)
    assert scores.metrics["score_official"] == pytest.approx(25)
    assert scores.metrics["score_official_spread"] == pytest.approx(100 * (1 / 3 - 0.5 / 3) / 2)


def test_examples() -> None:
    assert doctest.testmod(module).failed == 0
