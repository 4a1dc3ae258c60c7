"""Math answers against tests/golden/mathvista.json, without what a judge would say, and by hand."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any

import pytest

from evaluate.scorer import NoAnswer
from evaluate.scorers.math_answer import (
    PROTOCOLS,
    MathTarget,
    extract_directly,
    is_nearest_choice,
    math_answer,
    needs_extraction,
    normalize_answer,
    rule_only,
    score_extraction,
)

KEYS = {"internvl-v1.2": ("prediction", "seed"), "internvl-later": ("later_prediction", "later")}
CHOICE = MathTarget("8/11", "multi_choice", "text", ("3/11", "8/11"))


def read_target(problem: dict[str, Any]) -> MathTarget:
    kinds = ("question_type", "answer_type")
    groups = [f"{key}={problem[key]}" for key in kinds]
    for key, values in problem.get("metadata", {}).items():
        groups += [f"{key}={value}" for value in (values if isinstance(values, list) else [values])]
    return MathTarget(
        problem.get("answer"),
        *(problem[key] for key in kinds),
        tuple(problem["choices"] or ()),
        problem.get("precision"),
        tuple(groups),
    )


@pytest.mark.golden("mathvista", kind="extract")
def test_answers_are_read_or_left_to_the_judge_as_by_the_original(case: dict[str, Any]) -> None:
    target, quick = read_target(case["input"]["problem"]), case["input"]["quick_extract"]
    for protocol, expected in (("internvl-v1.2", case["expected"]), ("internvl-later", case["expected"].get("later"))):
        if expected is not None:
            found = extract_directly(case["input"]["response"], target, quick=quick, protocol=protocol)
            assert found == (None if expected["judge"] else expected["extraction"])


@pytest.mark.golden("mathvista", kind="needs_extraction")
def test_blank_extraction_is_none(case: dict[str, Any]) -> None:
    assert needs_extraction(case["input"]["extraction"]) == case["expected"]["redo"]


@pytest.mark.golden("mathvista", kind="normalize")
def test_answers_are_normalized_as_by_the_original(case: dict[str, Any]) -> None:
    for protocol, (key, _) in KEYS.items():
        found = normalize_answer(case["input"]["extraction"], read_target(case["input"]), protocol)
        assert found == case["expected"][key]


@pytest.mark.golden("mathvista", kind="equal")
def test_answers_are_compared_as_by_the_original(case: dict[str, Any]) -> None:
    prediction, answer = case["input"]["prediction"], case["input"]["answer"]
    assert score_extraction(prediction, MathTarget(answer, "free_form", "text")) == case["expected"]["equal"]


@pytest.mark.golden("mathvista", kind="run")
def test_accuracies_agree_with_the_original_in_any_order(case: dict[str, Any]) -> None:
    problems = list(case["input"]["results"].values())
    for protocol, (_, version) in KEYS.items():
        if version not in case["expected"]:
            continue
        random.Random(0).shuffle(problems)
        scores = math_answer(protocol)([problem["extraction"] for problem in problems], [*map(read_target, problems)])
        stored = case["expected"][version]["scores"]
        expected = {"accuracy": float(stored["average"]["accuracy"])}
        for key, groups in stored.items():
            if key != "average":
                expected |= {f"accuracy/{key}={name}": float(group["accuracy"]) for name, group in groups.items()}
        assert {key: scores.metrics[key] for key in expected} == pytest.approx(expected, rel=0, abs=0.0051)
        verdicts = dict(zip((problem["pid"] for problem in problems), scores.samples, strict=True))
        stored_verdicts = case["expected"][version].get("predictions", {})
        assert {pid: verdicts[pid] for pid in stored_verdicts} == {pid: row[1] for pid, row in stored_verdicts.items()}


def test_decimals_of_a_published_table_void_the_answer_in_the_first_version_alone() -> None:
    target = MathTarget("0.6", "free_form", "float", precision=1.0)
    assert [score_extraction("0.6", target, protocol) for protocol in PROTOCOLS] == [0.0, 1.0]


def test_empty_input_and_unknown_protocol() -> None:
    assert math_answer()([], []).metrics["accuracy"] != math_answer()([], []).metrics["accuracy"]
    assert normalize_answer("x", MathTarget("a", "multi_choice", "text")) is None
    with pytest.raises(ValueError, match=r"expected one of internvl-v1\.2, internvl-later, got 'x'"):
        math_answer("x")


@pytest.mark.parametrize("read", [extract_directly, lambda text, target: normalize_answer(text, target)])
def test_very_long_answer_is_read_in_no_time(read: Callable[[str, MathTarget], Any]) -> None:
    start = time.process_time()
    for unit in ("(", "(A", "8/11 ", "Answer: "):
        read(unit * (100_000 // len(unit)), CHOICE)
    assert time.process_time() - start < 3


def test_answers_that_a_judge_would_read_have_no_score_and_empty_ones_do() -> None:
    number = MathTarget("14", "free_form", "integer", groups=("kind=number",))
    scores = rule_only()(["14", "It is 14.", "", "", NoAnswer()], [number, number, number, CHOICE, CHOICE])
    assert scores.samples == (1.0, None, 0.0, 0.0, 0.0)
    assert (scores.metrics["coverage"], scores.num_unscored) == (80.0, 1)
    # Nothing at all is nearest to the first of the shortest choices, as published; a failure is counted nowhere.
    assert scores.metrics["num_nearest_choice"] == 1
    assert scores.metrics["accuracy_rule_only/kind=number"] == 50.0
    empty = rule_only()([], [])
    assert (empty.samples, empty.metrics["coverage"] == empty.metrics["coverage"]) == ((), False)


@pytest.mark.parametrize(
    ("said", "nearest"), [("B", False), ("(b) it is", False), ("8/11", False), ("b", True), ("(Z)", True), ("8", True)]
)
def test_choice_is_meant_by_letter_or_text_or_is_the_nearest(said: str, nearest: bool) -> None:
    assert is_nearest_choice(said, CHOICE) is nearest
    assert not is_nearest_choice(said, MathTarget("8", "free_form", "text"))
