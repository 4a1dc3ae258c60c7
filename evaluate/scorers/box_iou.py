"""Box accuracy: the box in an answer overlaps the annotated one by half or more (IoU >= 0.5).

Rule of RefCOCO, RefCOCO+ and RefCOCOg in InternVL at tag v1.2.2, `evaluate_grounding.py`; the version of 2025 has the
same one. The first bracket with four entries counts. Boxes and overlaps are numbers of 32 bits, as they are there, so
that an overlap next to the threshold falls on the same side; the original calls torch for it, box by box.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from evaluate.scorer import MeanScorer, Scores

Box = tuple[float, float, float, float]
THRESHOLD = 0.5
_NO_BOX: Box = (0.0, 0.0, 0.0, 0.0)
_SMALLEST_SUM = 4.0
"""Coordinates that add up to as much are thousandths of the picture, and fractions of it otherwise."""


@dataclass(frozen=True, slots=True)
class BoxTarget:
    """What is to be found.

    Attributes:
        box: x1, y1, x2, y2 in pixels.
        height, width: of the picture.
    """

    box: Box
    height: int
    width: int


def find_numbers(text: str) -> Box | None:
    """The four numbers of the first bracket that holds at least three commas; None where they are no numbers.

    The published pattern is `\\[*\\[(.*?),(.*?),(.*?),(.*?)\\]\\]*`, whose time explodes on an answer of brackets and
    commas alone. It matches within a line, and if it does, then from the line's first bracket on.

    Example:
        >>> find_numbers("<box>[[10, 20, 30, 40]]</box>"), find_numbers("[1, 2, 3, 4, 5]"), find_numbers("[[1, 2, 3")
        ((10.0, 20.0, 30.0, 40.0), None, None)
    """
    if "[" not in text:
        return None
    for line in text.split("\n"):
        _, bracket, rest = line.partition("[")
        parts = rest.lstrip("[").split(",", 3) if bracket else []
        if len(parts) < 4 or "]" not in parts[3]:
            continue
        try:
            return float(parts[0]), float(parts[1]), float(parts[2]), float(parts[3].partition("]")[0])
        except ValueError:
            return None
    return None


def read_box(text: str, height: int, width: int) -> Box:
    """The box of an answer in pixels; one without width and height where there is none."""
    left, top, right, bottom = array("f", find_numbers(text) or _NO_BOX)
    if _round(_round(_round(left + top) + right) + bottom) >= _SMALLEST_SUM:
        left, top, right, bottom = array("f", (left / 1000, top / 1000, right / 1000, bottom / 1000))
    left, top, right, bottom = array("f", (left * width, top * height, right * width, bottom * height))
    return left, top, right, bottom


def find_overlap(first: Box, second: Box) -> float:
    """Intersection over union in 32 bits; nan where both boxes have no area.

    Example:
        >>> find_overlap((0.0, 0.0, 2.0, 2.0), (1.0, 0.0, 3.0, 2.0))
        0.3333333432674408
    """
    a, b = array("f", first), array("f", second)
    sides = array(
        "f",
        (
            a[2] - a[0],
            a[3] - a[1],
            b[2] - b[0],
            b[3] - b[1],
            min(a[2], b[2]) - max(a[0], b[0]),
            min(a[3], b[3]) - max(a[1], b[1]),
        ),
    )
    areas = array("f", (sides[0] * sides[1], sides[2] * sides[3], max(sides[4], 0.0) * max(sides[5], 0.0)))
    union = _round(_round(areas[0] + areas[1]) - areas[2])
    return _round(areas[2] / union) if union else math.nan


def score_box(prediction: str, target: BoxTarget) -> float:
    """1.0 where the box of the answer overlaps the annotated one by half, else 0.0."""
    overlap = find_overlap(read_box(prediction, target.height, target.width), target.box)
    return float(overlap >= THRESHOLD)


class BoxScorer(MeanScorer):
    """A mean that also counts the answers without a box."""

    def __call__(self, predictions: Sequence[str], targets: Sequence[Any]) -> Scores:
        scores = super().__call__(predictions, targets)
        return replace(scores, num_unparsed=sum(find_numbers(prediction) is None for prediction in predictions))


def box_accuracy() -> BoxScorer:
    """The scorer: `precision@0.5` in percent."""
    return BoxScorer("box_iou", score_box, primary="precision@0.5")


def _round(value: float) -> float:
    return array("f", (value,))[0]
