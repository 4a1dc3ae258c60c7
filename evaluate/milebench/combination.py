"""Combined pictures of MileBench: all pictures of a question in a grid with captions, as its own code makes them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from evaluate.submission import place
from internvl.errors import InputError

if TYPE_CHECKING:
    from PIL.Image import Image

TILE = 800
"""Width and height of every picture in a grid, whatever its shape."""
_CAPTION_SCALE = 4
_MARGIN = 12


@dataclass(frozen=True, slots=True)
class Grid:
    """One combined picture.

    Attributes:
        name: of its file.
        size: width and height.
        numbers: of its pictures, from 0.
        captions: below each of them.
        corners: left and upper edge of each of them.
    """

    name: str
    size: tuple[int, int]
    numbers: tuple[int, ...]
    captions: tuple[str, ...]
    corners: tuple[tuple[int, int], ...]


def plan_grids(num_pictures: int, most: int, sample_id: int) -> list[Grid]:
    """Which pictures of a question go where.

    Args:
        num_pictures: of the question.
        most: at most so many combined pictures; pictures are shared out alike, as published.
        sample_id: that files are named by.
    """
    per_grid = count_per_grid(num_pictures, most)
    starts = range(0, num_pictures, per_grid)
    return [
        _plan(f"{sample_id}-{place}.jpg", range(start, min(start + per_grid, num_pictures)))
        for place, start in enumerate(starts)
    ]


def count_per_grid(num_pictures: int, most: int) -> int:
    """Pictures in each combined one; the last may have fewer."""
    return (num_pictures - 1) // most + 1


def _plan(name: str, numbers: range) -> Grid:
    columns = math.isqrt(len(numbers) - 1) + 1
    rows = -(-len(numbers) // columns)
    corners = tuple((TILE * (cell % columns), TILE * (cell // columns)) for cell in range(len(numbers)))
    captions = tuple(f"Image {number + 1}" for number in numbers)
    return Grid(name, (TILE * columns, TILE * rows), tuple(numbers), captions, corners)


def write_grid(grid: Grid, pictures: Sequence[Path], folder: Path, font_size: int) -> None:
    """Draw a combined picture; its file is there whole or not at all.

    Args:
        grid: what goes where.
        pictures: all of the question.
        folder: of combined pictures.
        font_size: a fourth of the height of the letters.

    Raises:
        InputError: a picture is not there, or is none.
    """
    from PIL import Image

    sheet = Image.new("RGB", grid.size)
    for number, caption, corner in zip(grid.numbers, grid.captions, grid.corners, strict=True):
        sheet.paste(_draw_tile(pictures[number], caption, font_size), corner)
    place(folder / grid.name, lambda partial: sheet.save(partial, "JPEG"))


def _draw_tile(path: Path, caption: str, font_size: int) -> Image:
    """A picture of the one size, with white words in a black box at the lower edge."""
    from PIL import Image, ImageDraw, ImageFile, ImageFont

    ImageFile.LOAD_TRUNCATED_IMAGES = False  # others of the process may have said otherwise
    try:
        with Image.open(path) as picture:
            tile = picture.convert("RGB").resize((TILE, TILE), Image.Resampling.LANCZOS)
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        told = " ".join(str(error).split())
        raise InputError(f"{path}: expected a picture, got {told}; get it again") from None
    draw, font = ImageDraw.Draw(tile), ImageFont.load_default(_CAPTION_SCALE * font_size)
    left, upper, right, lower = draw.textbbox((0, 0), caption, font=font)
    width, height = right - left, lower - upper
    corner = ((TILE - width) // 2, TILE - height - _MARGIN)
    draw.rectangle((corner[0] - _MARGIN, corner[1] - _MARGIN, corner[0] + width + _MARGIN, TILE), fill="black")
    draw.text((corner[0] - left, corner[1] - upper), caption, fill="white", font=font)
    return tile
