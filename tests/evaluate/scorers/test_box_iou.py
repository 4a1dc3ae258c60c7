"""Box accuracy against tests/golden/refcoco.json, by eye, against the published pattern, and as a property."""

from __future__ import annotations

import math
import random
import re
import time
from typing import Any

import pytest

from evaluate.scorers.box_iou import BoxTarget, box_accuracy, find_numbers, find_overlap, read_box, score_box

PATTERN = re.compile(r"\[*\[(.*?),(.*?),(.*?),(.*?)\]\]*")
TARGET = BoxTarget((64.0, 96.0, 320.0, 384.0), 480, 640)


def read_target(sample: dict[str, Any]) -> BoxTarget:
    return BoxTarget(tuple(sample["gt_bbox"]), *sample["hw"])


@pytest.mark.golden("refcoco")
def test_box_overlap_and_verdict_agree_with_the_original(case: dict[str, Any], family: dict[str, Any]) -> None:
    target, expected = read_target(case["input"]), case["expected"]
    near = {"rel": 1e-6, "abs": family["tolerance"], "nan_ok": True}
    box = read_box(case["input"]["answer"], target.height, target.width)
    assert box == pytest.approx(tuple(expected["predicted_box"]), **near)
    assert find_overlap(box, target.box) == pytest.approx(expected["iou"], **near)
    assert score_box(case["input"]["answer"], target) == expected["correct"]


@pytest.mark.golden("refcoco")
def test_precision_agrees_with_the_original_in_any_order(family: dict[str, Any]) -> None:
    inputs = {case["id"]: case["input"] for case in family["cases"]}
    samples = [inputs[name] for name in family["aggregate"]["input_ids"]]
    expected = 100 * family["aggregate"]["expected"]["precision_at_0.5"]
    for _ in range(2):
        scores = box_accuracy()([sample["answer"] for sample in samples], [*map(read_target, samples)])
        assert scores.metrics == {"precision@0.5": pytest.approx(expected, rel=0, abs=family["tolerance"])}
        assert sum(filter(None, scores.samples)) == family["aggregate"]["expected"]["correct"]
        random.Random(0).shuffle(samples)


@pytest.mark.parametrize(
    ("answer", "numbers"),
    [
        ("[[1,2,3,4],[5,6,7,8]]", (1, 2, 3, 4)),
        ("no [box]\n[1, 2, 3,\n4]\n[ 1 ,2.5,-3, 4e1 ]", (1, 2.5, -3, 40)),
        ("[see [[1, 2, 3, 4]]", None),
        ("[[120, 34, 560, 777", None),
        ("[1, 2, 3, 4, 5]", None),
        ("[a, b, c, d] [1, 2, 3, 4]", None),
        ("］1, 2, 3, 4］", None),
        ("", None),
    ],
)
def test_only_the_first_bracket_with_four_entries_is_read(answer: str, numbers: tuple[float, ...] | None) -> None:
    assert find_numbers(answer) == numbers


def test_first_bracket_is_the_one_of_the_published_pattern() -> None:
    generator = random.Random(0)
    pieces = ["[", "[1,", "2,", "4]", "]", ",", "1", "\n", " ", "\r", "x", "nan", "\u2028", "_"]
    found = 0
    for _ in range(4000):
        box = "[1,2,-3.5,4]" if generator.random() < 0.5 else ""
        text = "".join([*generator.choices(pieces, k=generator.randint(0, 8)), box, *generator.choices(pieces, k=8)])
        try:
            expected = tuple(float(part) for part in PATTERN.findall(text)[0])
        except (IndexError, ValueError):
            expected = None
        numbers = find_numbers(text)
        assert numbers == pytest.approx(expected, nan_ok=True) if expected else numbers is None, repr(text)
        found += expected is not None
    assert found > 100


def test_overlap_of_exactly_half_is_right_and_a_little_less_is_wrong() -> None:
    assert score_box("[[100, 200, 300, 800]]", TARGET) == 1.0
    assert score_box("[[100, 200, 299.99, 800]]", TARGET) == 0.0


def test_box_without_area_is_wrong_even_where_the_annotated_one_has_none() -> None:
    nothing = BoxTarget((0.0, 0.0, 0.0, 0.0), 480, 640)
    assert math.isnan(find_overlap(read_box("[[0, 0, 0, 0]]", 480, 640), nothing.box))
    assert [score_box(text, nothing) for text in ("[[0, 0, 0, 0]]", "", "[[nan, 1e99, inf, 1]]")] == [0.0] * 3


def test_answers_without_a_box_are_counted_and_nothing_gives_nan() -> None:
    scores = box_accuracy()(["[[100, 200, 500, 800]]", "none", "[[1, 2, 3, x]]"], [TARGET] * 3)
    assert (scores.samples, scores.num_unparsed) == ((1.0, 0.0, 0.0), 2)
    assert scores.metrics["precision@0.5"] == pytest.approx(100 / 3)
    empty = box_accuracy()([], [])
    assert math.isnan(empty.metrics["precision@0.5"])
    assert empty.num_unparsed == 0


@pytest.mark.parametrize("unit", ["[", "[,", "[,,,", "[1,2,3,4 ", "[\n", "]", "[[1,2,3,4]]"])
def test_very_long_answer_is_read_in_no_time(unit: str) -> None:
    start = time.perf_counter()
    score_box(unit * (100_000 // len(unit)), TARGET)
    assert time.perf_counter() - start < 1
