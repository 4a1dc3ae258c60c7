"""GQA against tests/golden/gqa.json, by eye, and as a property."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest

from evaluate.headline import bound_headline
from evaluate.scorers.gqa import GQATarget, convert, count_steps, gqa, score_gqa

KINDS = {
    "accuracyPerStructuralType": "structural",
    "accuracyPerSemanticType": "semantic",
    "accuracyPerSteps": "steps",
    "accuracyPerLength": "words",
}


def read_target(sample: dict[str, Any]) -> GQATarget:
    return GQATarget(
        answer=sample["gold"],
        balanced=sample["is_balanced"],
        structural=sample["structural"],
        semantic=sample["semantic"],
        num_words=len(sample["question"].split()),
        num_steps=count_steps(sample["program"]),
        group=sample["group"],
    )


@pytest.mark.golden("gqa")
def test_converted_answer_and_value_agree_with_the_original(case: dict[str, Any]) -> None:
    assert convert(case["input"]["answer"]) == case["expected"]["prediction"]
    target = GQATarget(case["input"]["gold"])
    assert score_gqa(case["input"]["answer"], target) == float(case["expected"]["correct"])


@pytest.mark.golden("gqa")
def test_all_numbers_of_the_script_agree(family: dict[str, Any]) -> None:
    inputs = {case["id"]: case["input"] for case in family["cases"]}
    samples = [inputs[name] for name in family["aggregate"]["input_ids"]]
    targets = [*map(read_target, samples)]
    metrics = gqa()([sample["answer"] for sample in samples], targets).metrics
    stored = family["aggregate"]["expected"]
    expected = {"accuracy": stored["accuracy"], "distribution": stored["distribution"]}
    expected |= {f"accuracy/{kind}": stored[kind] for kind in ("binary", "open")}
    for kind, name in KINDS.items():
        expected |= {f"accuracy/{name}={value}": percent for value, (percent, _) in stored[kind].items()}
    assert metrics == pytest.approx(expected, rel=0, abs=family["tolerance"])
    for value, (_, count) in stored["accuracyPerSteps"].items():
        assert sum(target.balanced and target.num_steps == int(value) for target in targets) == count


@pytest.mark.parametrize(
    ("prediction", "answer", "value"),
    [
        ("Yes", "yes", 1.0),
        ("no...", "no", 1.0),
        (" left", "left", 0.0),
        ("left. ", "left", 0.0),
        ("", "yes", 0.0),
        ("CAFÉ.", "café", 1.0),
        ("." * 100_000, "yes", 0.0),
    ],
)
def test_value_by_eye(prediction: str, answer: str, value: float) -> None:
    assert score_gqa(prediction, GQATarget(answer)) == value


def test_question_that_is_not_balanced_is_in_no_number() -> None:
    targets = [GQATarget("yes", structural="verify"), GQATarget("no", balanced=False, structural="query", group="g")]
    scores = gqa()(["yes", "no"], targets)
    assert scores.samples == (1.0, None)
    assert (scores.metrics["accuracy"], scores.metrics["accuracy/binary"]) == (100.0, 100.0)
    assert "accuracy/open" not in scores.metrics
    assert math.isnan(scores.metrics["distribution"])
    assert math.isnan(gqa()([], []).metrics["accuracy"])


def test_distribution_is_zero_for_the_right_counts_and_grows_with_the_difference() -> None:
    targets = [GQATarget(answer, group="color") for answer in ("red", "red", "blue", "green")]
    assert gqa()(["blue", "red", "green", "red"], targets).metrics["distribution"] == 0
    # red 4 for 2, blue and green 0 for 1 each: 4 / 2 + 1 / 1 + 1 / 1
    assert gqa()(["red"] * 4, targets).metrics["distribution"] == pytest.approx(0.04)


def test_order_does_not_matter_and_the_interval_is_that_of_the_mean() -> None:
    generator = random.Random(4)
    rows = [
        (
            generator.choice(["yes", "No.", "red"]),
            GQATarget(
                generator.choice(["yes", "no", "red"]),
                balanced=generator.random() < 0.9,
                structural=generator.choice(["query", "verify"]),
                num_steps=generator.randint(1, 3),
                group=generator.choice(["a", "b", None]),
            ),
        )
        for _ in range(300)
    ]
    scores = gqa()(*zip(*rows, strict=True))
    names = [str(number // 2) for number in range(300)]
    bounds = bound_headline(gqa(), [row[0] for row in rows], [row[1] for row in rows], scores.samples, names)
    assert bounds is not None
    assert bounds[0] < scores.metrics["accuracy"] < bounds[1]
    generator.shuffle(rows)
    assert gqa()(*zip(*rows, strict=True)).metrics == scores.metrics
