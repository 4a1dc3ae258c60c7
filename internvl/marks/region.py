"""Where in its picture an instance is: made from a mask, polygons, runs or a box."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from internvl.errors import InputError
from internvl.marks.rle import decode

Mask = NDArray[np.bool_]
_SLACK = 1.0  # rounding moves boxes out of their pictures by less than a pixel


class EmptyRegionError(InputError):
    """An instance without a pixel: as good as absent."""


@dataclass(frozen=True, slots=True, eq=False)
class Region:
    """The pixels of an instance.

    Attributes:
        width, height: of the picture.
        left, top: where the mask begins.
        mask: rows and columns from the first to the last that have a pixel.
    """

    width: int
    height: int
    left: int
    top: int
    mask: Mask

    @property
    def right(self) -> int:
        """The first column behind it."""
        return self.left + self.mask.shape[1]

    @property
    def bottom(self) -> int:
        """The first row below it."""
        return self.top + self.mask.shape[0]

    def resize(self, width: int, height: int) -> Region:
        """The region in the same picture of another size.

        Raises:
            InputError: the sides of the pictures are not in proportion.
        """
        if (width, height) == (self.width, self.height):
            return self
        scale = width / self.width
        if abs(self.height * scale - height) > max(1.0, scale):
            raise InputError(
                f"region: expected a mask in the proportions of its picture of {width}x{height}, got "
                f"{self.width}x{self.height}; find the picture that it was made for"
            )
        rows = np.minimum(((np.arange(height) + 0.5) * self.height / height).astype(int), self.height - 1) - self.top
        columns = np.minimum(((np.arange(width) + 0.5) * self.width / width).astype(int), self.width - 1) - self.left
        kept_rows = np.flatnonzero((rows >= 0) & (rows < self.mask.shape[0]))
        kept_columns = np.flatnonzero((columns >= 0) & (columns < self.mask.shape[1]))
        mask = self.mask[np.ix_(rows[kept_rows], columns[kept_columns])]
        if not mask.any():
            # Narrower than the step: the pixel that its middle falls into.
            kept_rows = np.array([min(height - 1, int((self.top + self.bottom) / 2 * height / self.height))])
            kept_columns = np.array([min(width - 1, int((self.left + self.right) / 2 * width / self.width))])
            mask = np.ones((1, 1), bool)
        return _crop(mask, width, height, int(kept_columns[0]), int(kept_rows[0]))


def from_mask(mask: NDArray[Any]) -> Region:
    """The region of an array of rows, as large as the picture, that is true or not 0 inside."""
    if not isinstance(mask, np.ndarray) or mask.ndim != 2 or mask.dtype.kind not in "bui":
        got = f"{mask.dtype} of {mask.shape}" if isinstance(mask, np.ndarray) else repr(mask)[:40]
        raise InputError(f"mask: expected an array of rows of whole numbers or of bool, got {got}; convert it")
    return _crop(mask if mask.dtype == np.bool_ else mask != 0, mask.shape[1], mask.shape[0], 0, 0)


def from_rle(rle: Mapping[str, Any]) -> Region:
    """The region of runs in the format of COCO: `size` [height, width], and `counts` as numbers or packed as text."""
    return from_mask(decode(rle))


def from_polygons(polygons: Sequence[Sequence[float]], width: int, height: int) -> Region:
    """The region inside of any of the polygons, lists of x and y in turn; what is outside of the picture is cut off."""
    if not polygons:
        raise EmptyRegionError("polygons: expected at least 1, got none; leave the instance out")
    shapes = [_read_polygon(polygon) for polygon in polygons]
    points = np.concatenate(shapes)
    left, top = np.maximum(np.floor(points.min(axis=0)).astype(int) - 1, 0).tolist()
    right, bottom = np.minimum(np.ceil(points.max(axis=0)).astype(int) + 2, (width, height)).tolist()
    if left >= right or top >= bottom:
        raise EmptyRegionError(
            f"polygons: expected some of it within {width}x{height} pixels, got none; leave the instance out"
        )
    canvas = Image.new("L", (right - left, bottom - top))
    drawing = ImageDraw.Draw(canvas)
    for shape in shapes:
        # Coordinates count from the corners of pixels, Pillow's from their middles.
        drawing.polygon([(x - 0.5, y - 0.5) for x, y in (shape - (left, top)).tolist()], fill=1)
    return _crop(np.asarray(canvas) != 0, width, height, left, top)


def from_box(box: Sequence[float], width: int, height: int) -> Region:
    """The region of a box of x, y, width and height."""
    if len(box) != 4 or not _are_numbers(box):
        raise InputError(f"box: expected the numbers x, y, width and height, got {box!r}; correct it")
    x, y, wide, high = box
    if wide <= 0 or high <= 0:
        raise EmptyRegionError(f"box: expected a width and a height above 0, got {box!r}; leave the instance out")
    if min(x, y) < -_SLACK or x + wide > width + _SLACK or y + high > height + _SLACK:
        raise InputError(f"box: expected it within {width}x{height} pixels, got {box!r}; find the picture of the box")
    left, top = (min(max(0, math.floor(side)), most - 1) for side, most in ((x, width), (y, height)))
    right, bottom = min(width, math.ceil(x + wide)), min(height, math.ceil(y + high))
    mask = np.ones((max(1, bottom - top), max(1, right - left)), bool)
    return Region(width, height, left, top, mask)


def read_region(value: object, width: int, height: int) -> Region:
    """The region that an annotation file has: runs, a list of polygons, or a box.

    Args:
        width, height: of the picture; runs say themselves what they are made for, and may differ.
    """
    if isinstance(value, Mapping):
        return from_rle(value)
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        if all(isinstance(part, Sequence) for part in value):
            return from_polygons(value, width, height)
        if len(value) == 4:
            return from_box(value, width, height)
    raise InputError(
        f"mask: expected runs, a list of polygons or a box of 4 numbers, got {repr(value)[:40]}; get the file again"
    )


def _crop(mask: Mask, width: int, height: int, left: int, top: int) -> Region:
    """Take away the rows and columns around it that have no pixel; the first two say where the mask begins."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        raise EmptyRegionError("mask: expected at least 1 pixel, got none; leave the instance out")
    cropped = np.ascontiguousarray(mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])
    return Region(width, height, left + int(columns[0]), top + int(rows[0]), cropped)


def _read_polygon(polygon: Sequence[float]) -> NDArray[np.float64]:
    is_list = isinstance(polygon, Sequence) and not isinstance(polygon, str | bytes)
    if not is_list or len(polygon) % 2 or len(polygon) < 6 or not _are_numbers(polygon):
        got = f"{len(polygon)} values, {repr(polygon)[:40]}" if is_list else repr(polygon)[:40]
        raise InputError(f"polygon: expected x and y of at least 3 points, got {got}; correct it")
    return np.array(polygon, dtype=np.float64).reshape(-1, 2)


def _are_numbers(values: Sequence[float]) -> bool:
    return all(
        isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1 << 24 for value in values
    )
