"""Where numbers go: deep inside of their instances, and clear of each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from internvl.marks.region import Mask, Region

Box = tuple[int, int, int, int]
"""Left, top, and the first column and row behind it."""

_GRID = 64  # so many points a side are looked at, whatever the size
_DEEP = 0.8  # of the greatest distance to the edge: the middle of what is deeper is as good, and steadier over frames
_HIDDEN = 0.5  # a number that hides more of its instance stands beside it
_SMALL = 8  # instances of so many times the size of a number are spared by numbers beside others
_RINGS = 6
_SIDES = 6  # places along each side of a ring

Points = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Label:
    """Where the number of an instance is.

    Attributes:
        box: that it fills.
        anchor: x and y of a pixel of the instance.
        is_beside: whether it stands outside of its instance.
    """

    box: Box
    anchor: tuple[int, int]
    is_beside: bool


def place_labels(regions: Mapping[int, Region], sizes: Mapping[int, tuple[int, int]]) -> dict[int, Label]:
    """The place of every number, whatever the order of the regions.

    Args:
        regions: of the instances, in one picture.
        sizes: width and height of the number of each.
    """
    areas = {number: int(region.mask.sum()) for number, region in regions.items()}
    order = sorted(regions, key=lambda number: (areas[number], number))  # the small ones have the least choice
    if not order:
        return {}
    width, height = regions[order[0]].width, regions[order[0]].height
    covered = np.zeros((height, width), bool)
    small = np.zeros((height, width), bool)
    labels: dict[int, Label] = {}
    beside = []
    taken = np.zeros((0, 4), np.int64)
    for number in order:
        region, (wide, high) = regions[number], sizes[number]
        part = np.s_[region.top : region.bottom, region.left : region.right]
        free = region.mask & ~covered[part]
        covered[part] |= region.mask
        if areas[number] <= _SMALL * wide * high:
            small[part] |= region.mask
        points = _sort_points(free if free.any() else region.mask, high / 2)
        points += (region.left, region.top)
        anchor = (int(points[0, 0]), int(points[0, 1]))
        box = None
        if areas[number] * _HIDDEN > wide * high:
            box = _find_free(_to_boxes(points, wide, high, width, height), taken)
        if box is None:
            beside.append((number, anchor, points))
            continue
        labels[number] = Label(box, anchor, is_beside=False)
        taken = np.vstack((taken, box))
    for number, anchor, points in beside:
        box = _place_beside(regions[number], sizes[number], taken, small, points)
        labels[number] = Label(box, anchor, is_beside=True)
        taken = np.vstack((taken, box))
    return labels


def _sort_points(mask: Mask, enough: float) -> Points:
    """x and y of points inside, best first; `enough` is a distance from the edge that need not be exceeded."""
    step = -(-max(mask.shape) // _GRID)
    first = step // 2
    grid = mask[first::step, first::step]
    rows, columns = np.nonzero(grid)
    if not len(rows):  # too thin for the grid
        rows, columns = np.nonzero(mask)
        step, first, depths = 1, 0, np.ones(len(rows))
    else:
        depths = _measure_depth(grid)[rows, columns] * step
    points = np.stack((columns, rows), axis=1) * step + first
    middle = points.mean(axis=0)
    distances = np.hypot(*(points - middle).T)
    is_deep = depths >= _DEEP * depths.max()
    best = np.lexsort((points[:, 0], points[:, 1], distances, ~is_deep))[0]
    # Where the best place is taken: near it, as long as the number fits inside.
    distances = np.hypot(*(points - points[best]).T)
    fits = np.minimum(depths, enough)
    order = np.lexsort((points[:, 0], points[:, 1], distances, -fits, np.arange(len(points)) != best))
    return points[order]


def _measure_depth(mask: Mask) -> NDArray[np.float64]:
    """The distance of every point to the nearest one outside; what is around the mask is outside."""
    padded = np.pad(mask, 1)
    height, width = padded.shape
    rows = np.arange(height)[:, None]
    above = np.maximum.accumulate(np.where(padded, 0, rows), axis=0)
    below = np.minimum.accumulate(np.where(padded, height, rows)[::-1], axis=0)[::-1]
    nearest = np.minimum(rows - above, below - rows)[1:-1]
    columns = np.arange(width)
    across = (columns[1:-1, None] - columns) ** 2
    return np.sqrt((across + (nearest**2)[:, None, :]).min(axis=2))


def _to_boxes(centers: Points, wide: int, high: int, width: int, height: int) -> Points:
    """Boxes around points, moved into the picture."""
    left = np.clip(centers[:, 0] - wide // 2, 0, max(0, width - wide))
    top = np.clip(centers[:, 1] - high // 2, 0, max(0, height - high))
    return np.stack((left, top, left + wide, top + high), axis=1)


def _measure_overlap(boxes: Points, taken: Points) -> Points:
    """How many pixels of each box are those of the taken ones; with a gap of a pixel around them."""
    wide = np.minimum(boxes[:, None, 2], taken[:, 2] + 1) - np.maximum(boxes[:, None, 0], taken[:, 0] - 1)
    high = np.minimum(boxes[:, None, 3], taken[:, 3] + 1) - np.maximum(boxes[:, None, 1], taken[:, 1] - 1)
    return (np.maximum(wide, 0) * np.maximum(high, 0)).sum(axis=1)


def _find_free(boxes: Points, taken: Points) -> Box | None:
    """The first box that overlaps none of the taken ones."""
    for some in (boxes[:1], boxes):  # nearly always the first
        free = np.flatnonzero(_measure_overlap(some, taken) == 0)
        if len(free):
            return _to_box(some[free[0]])
    return None


def _to_box(row: NDArray[np.int64]) -> Box:
    left, top, right, bottom = row.tolist()
    return left, top, right, bottom


def _place_beside(region: Region, size: tuple[int, int], taken: Points, small: Mask, points: Points) -> Box:
    """The nearest place around an instance that is free, and hides as little of other small ones as can be."""
    wide, high = size
    boxes = [_to_boxes(points, wide, high, region.width, region.height)]
    for ring in range(_RINGS):
        around = _to_boxes(_make_ring(region, wide, high, ring), wide, high, region.width, region.height)
        boxes.append(around)
        free = around[_measure_overlap(around, taken) == 0]
        if len(free):
            hidden = [int(small[top:bottom, left:right].sum()) for left, top, right, bottom in free.tolist()]
            return _to_box(free[int(np.argmin(hidden))])
    everywhere = np.concatenate(boxes)
    return _to_box(everywhere[int(np.argmin(_measure_overlap(everywhere, taken)))])


def _make_ring(region: Region, wide: int, high: int, ring: int) -> Points:
    """Centres of boxes around an instance: below, above, and at its sides."""
    gap = 2 + ring * high // 2
    left, right = region.left - gap - (wide + 1) // 2, region.right + gap + wide // 2
    top, bottom = region.top - gap - (high + 1) // 2, region.bottom + gap + high // 2
    xs = np.linspace(left, right, _SIDES + 1).round().astype(np.int64)
    ys = np.linspace(top, bottom, _SIDES + 1).round().astype(np.int64)
    sides = [(xs, np.full_like(xs, y)) for y in (bottom, top)] + [(np.full_like(ys, x), ys) for x in (right, left)]
    centers = np.concatenate([np.stack(side, axis=1) for side in sides])
    middle = np.array([(left + right) / 2, (top + bottom) / 2])
    return centers[np.argsort(np.abs(centers - middle).sum(axis=1), kind="stable")]
