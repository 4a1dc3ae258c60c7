"""Combined pictures against tests/golden/milebench_batching.json, and what is drawn where."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from evaluate.milebench.combination import TILE, plan_grids, write_grid
from internvl.errors import InputError


def test_pictures_are_stretched_and_captions_stand_below_them(tmp_path: Path) -> None:
    for number, colour in enumerate(("red", "lime", "blue")):
        Image.new("RGB", (4 + number, 9), colour).save(tmp_path / f"{number}.png")
    [grid] = plan_grids(3, 1, 7)
    write_grid(grid, [tmp_path / f"{number}.png" for number in range(3)], tmp_path, 8)
    with Image.open(tmp_path / "7-0.jpg") as picture:
        assert (picture.size, picture.mode, picture.format) == ((2 * TILE, 2 * TILE), "RGB", "JPEG")
        for corner, colour in zip(grid.corners, ((255, 0, 0), (0, 255, 0), (0, 0, 255)), strict=True):
            assert near(picture.getpixel((corner[0] + 5, corner[1] + 5)), colour)
            assert near(picture.getpixel((corner[0] + 5, corner[1] + TILE - 5)), colour)
            caption = picture.crop((corner[0] + 330, corner[1] + TILE - 50, corner[0] + 470, corner[1] + TILE))
            lightest = caption.convert("L").getextrema()
            assert (lightest[0] < 20, lightest[1] > 235) == (True, True)
        assert near(picture.getpixel((TILE + 400, TILE + 400)), (0, 0, 0))


def near(found: Any, colour: tuple[int, int, int]) -> bool:
    return all(abs(one - other) < 16 for one, other in zip(found, colour, strict=True))


def test_what_is_no_picture_is_named_and_nothing_is_left(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_text("x")
    [grid] = plan_grids(1, 1, 0)
    for path in (tmp_path / "a.jpg", tmp_path / "b.jpg"):
        with pytest.raises(InputError, match=rf"{path.name}: expected a picture, got .*; get it again"):
            write_grid(grid, [path], tmp_path, 8)
    assert [path.name for path in tmp_path.iterdir()] == ["a.jpg"]
