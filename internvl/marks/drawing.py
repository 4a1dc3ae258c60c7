"""Drawing marks: the number of every instance, white on black, and its contour or box in the colour of the number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from internvl.errors import InputError
from internvl.marks.color import choose_color
from internvl.marks.region import Region
from internvl.marks.spot import Box, Label, place_labels

Style = Literal["contour", "box", "label"]
STYLES: tuple[Style, ...] = get_args(Style)
Paint = Literal["white-on-black", "black-on-white"]
PAINTS: tuple[Paint, ...] = get_args(Paint)

Pixels = NDArray[np.uint8]

_SHARE = 0.032  # height of the type, of the root of the picture's area
_SMALLEST, _TINIEST = 12, 6
_MOST = 0.2  # of the picture is under numbers, as long as they can be smaller
_CROWDED = 9
_DIGITS = "0123456789"


@dataclass(frozen=True, slots=True)
class Marks:
    """A picture with marks.

    Attributes:
        image: the picture, in RGB.
        boxes: of the numbers that were drawn, as left, top, and the first column and row behind it.
    """

    image: Image.Image
    boxes: Mapping[int, Box]

    @property
    def ids(self) -> tuple[int, ...]:
        """The numbers that were drawn, in rising order."""
        return tuple(self.boxes)


def draw_marks(
    image: Image.Image,
    regions: Mapping[int, Region],
    *,
    style: Style = "contour",
    paint: Paint = "white-on-black",
    font_size: int | None = None,
) -> Marks:
    """Draw the mark of every instance on a copy of a picture; the order of the regions changes nothing.

    Args:
        image: the picture, or a frame of a video.
        regions: of the instances by their numbers; an instance that is not in the picture is not among them.
        style: "contour", "box", or "label" for the number alone.
        paint: of the numbers: "white-on-black", or "black-on-white" as on frames of the Inst-It videos.
        font_size: height of the type in pixels; None for one that fits the picture.

    Raises:
        InputError: a number is no whole number from 0 on, or a region is made for a picture of another size.
    """
    _check(image, regions, style, paint, font_size)
    regions = {number: regions[number] for number in sorted(regions)}
    size = font_size or choose_font_size(image.width, image.height, regions)
    pixels = np.array(image.convert("RGB"))
    if style != "label":
        thickness = max(1, round(size / 11))
        # The small ones last, so that those behind them do not hide their lines.
        for number in sorted(regions, key=lambda number: (-int(regions[number].mask.sum()), number)):
            outline = _trace_contour if style == "contour" else _trace_box
            rows, columns = outline(regions[number], thickness)
            pixels[rows, columns] = choose_color(number)
    labels = place_labels(regions, {number: _measure(number, size) for number in regions})
    drawn = Image.fromarray(pixels)
    canvas = ImageDraw.Draw(drawn)
    for number, label in sorted(labels.items()):
        if label.is_beside:
            _draw_line(canvas, label, number, size)
    for number, label in sorted(labels.items()):
        _draw_label(canvas, label, number, size, paint)
    return Marks(drawn, {number: labels[number].box for number in regions})


def choose_font_size(width: int, height: int, regions: Mapping[int, Region]) -> int:
    """The height of the type for a picture: still readable in what a model sees of it, and smaller in a crowd."""
    size = max(_SMALLEST, round(_SHARE * (width * height) ** 0.5))
    while size > _TINIEST:
        boxes = [_measure(number, size) for number in regions]
        fits = all(wide <= width and high <= height for wide, high in boxes)
        is_crowd = sum(wide * high for wide, high in boxes) > _MOST * width * height
        if fits and (not is_crowd or size <= _CROWDED):
            break
        size -= 1
    return size


def _check(image: Image.Image, regions: Mapping[int, Region], style: str, paint: str, font_size: int | None) -> None:
    for name, value, choices in (("style", style, STYLES), ("paint", paint, PAINTS)):
        if value not in choices:
            raise InputError(f"{name}: expected {' or '.join(choices)}, got {value!r}; choose one")
    if font_size is not None and font_size < 1:
        raise InputError(f"font_size: expected at least 1, got {font_size}; correct it")
    for number, region in regions.items():
        if not isinstance(number, int) or isinstance(number, bool) or number < 0:
            raise InputError(f"mark: expected a whole number from 0 on, got {number!r}; give instances numbers")
        if (region.width, region.height) != image.size:
            raise InputError(
                f"mark {number}: expected a region in a picture of {image.width}x{image.height}, got one of "
                f"{region.width}x{region.height}; resize it, or find its picture"
            )


def _trace_contour(region: Region, thickness: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows and columns of the line along the edge, all of it inside: neighbours do not paint over each other's."""
    mask = region.mask
    inner = np.zeros_like(mask)
    inner[1:-1, 1:-1] = mask[1:-1, 1:-1] & mask[:-2, 1:-1] & mask[2:, 1:-1] & mask[1:-1, :-2] & mask[1:-1, 2:]
    rows, columns = np.nonzero(mask & ~inner)
    reach = thickness - 1
    if reach:
        steps = np.arange(-reach, reach + 1)
        down, across = (part[np.hypot(*np.meshgrid(steps, steps)) <= reach + 0.5] for part in np.meshgrid(steps, steps))
        rows, columns = (rows[:, None] + down).ravel(), (columns[:, None] + across).ravel()
        is_inside = (rows >= 0) & (rows < mask.shape[0]) & (columns >= 0) & (columns < mask.shape[1])
        rows, columns = rows[is_inside], columns[is_inside]
        is_inside = mask[rows, columns]
        rows, columns = rows[is_inside], columns[is_inside]
    return rows + region.top, columns + region.left


def _trace_box(region: Region, thickness: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows and columns of the line along the inside of the box around it."""
    frame = np.ones(region.mask.shape, bool)
    frame[thickness:-thickness, thickness:-thickness] = False
    rows, columns = np.nonzero(frame)
    return rows + region.top, columns + region.left


@lru_cache(maxsize=32)
def _load_font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _weigh(size: int) -> int:
    """How much wider than the font's the strokes of digits are: its digits are thin."""
    return round(size / 40)


@lru_cache(maxsize=4096)
def _measure(number: int, size: int) -> tuple[int, int]:
    """Width and height of the box of a number."""
    left, _, right, _ = _load_font(size).getbbox(str(number), anchor="ls", stroke_width=_weigh(size))
    _, top, _, bottom = _load_font(size).getbbox(_DIGITS, anchor="ls", stroke_width=_weigh(size))
    margin = _margin(size)
    return int(right - left) + 2 * margin, int(bottom - top) + 2 * margin


def _margin(size: int) -> int:
    return max(1, round(size / 7))


def _draw_line(canvas: ImageDraw.ImageDraw, label: Label, number: int, size: int) -> None:
    """From the instance to its number, so that it is not taken for a neighbour's."""
    left, top, right, bottom = label.box
    x, y = label.anchor
    end = (min(max(x, left), right - 1), min(max(y, top), bottom - 1))
    canvas.line((label.anchor, end), fill=choose_color(number), width=max(1, round(size / 11)))


def _draw_label(canvas: ImageDraw.ImageDraw, label: Label, number: int, size: int, paint: Paint) -> None:
    ink, ground = paint.split("-on-")
    left, top, right, bottom = label.box
    rim = choose_color(number) if label.is_beside else None
    canvas.rectangle((left, top, right - 1, bottom - 1), fill=ground, outline=rim, width=max(1, round(size / 22)))
    font, weight, margin = _load_font(size), _weigh(size), _margin(size)
    ink_left, *_ = font.getbbox(str(number), anchor="ls", stroke_width=weight)
    _, ink_top, *_ = font.getbbox(_DIGITS, anchor="ls", stroke_width=weight)
    place = (left + margin - ink_left, top + margin - ink_top)
    canvas.text(place, str(number), fill=ink, font=font, anchor="ls", stroke_width=weight, stroke_fill=ink)
