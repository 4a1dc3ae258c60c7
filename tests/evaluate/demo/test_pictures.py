"""Pictures of demonstration data: each number has its own, and it is the same everywhere."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

from PIL import Image

from evaluate.demo.pictures import draw, write_picture


def test_numbers_have_pictures_of_their_own(tmp_path: Path) -> None:
    assert len({draw(number) for number in range(64)}) == 64
    opened = [Image.open(BytesIO(draw(number, kind))) for kind in ("JPEG", "PNG", "GIF") for number in range(11)]
    assert {picture.mode for picture in opened} >= {"RGB", "L", "CMYK", "RGBA", "P", "1"}
    assert {getattr(picture, "n_frames", 1) for picture in opened} == {1, 2}
    assert {picture.getexif().get(274) for picture in opened} == {None, 6}
    write_picture(tmp_path / "a" / "1.png", 1)
    assert (tmp_path / "a" / "1.png").read_bytes() == draw(1, "PNG") != draw(1)
