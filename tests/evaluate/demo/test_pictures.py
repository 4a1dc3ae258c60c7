"""Pictures of demonstration data: each number has its own, and it is the same everywhere."""

from __future__ import annotations

from pathlib import Path

from evaluate.demo.pictures import draw, write_picture


def test_numbers_have_pictures_of_their_own(tmp_path: Path) -> None:
    assert len({draw(number) for number in range(64)}) == 64
    write_picture(tmp_path / "a" / "1.png", 1)
    assert (tmp_path / "a" / "1.png").read_bytes() == draw(1, "PNG") != draw(1)
