"""Albums: one small JPEG per picture, whatever it comes as, and a reason where there is none."""

from __future__ import annotations

import base64
import io
from pathlib import Path

from PIL import Image

from evaluate.page.album import SIDE, Album
from tests.evaluate.results import write_picture


def test_picture_is_small_and_there_once(tmp_path: Path) -> None:
    path, album = write_picture(tmp_path / "a.jpg"), Album()
    image = Image.open(path)
    assert [album.add(path), album.add(path.read_bytes()), album.add(path), album.add(image)] == [0, 1, 0, 2]
    for data, *sizes in album.pictures:
        small = Image.open(io.BytesIO(base64.b64decode(data)))
        assert small.format == "JPEG"
        assert [*small.size, *sizes[2:]] == sizes == [SIDE, round(SIDE * 2 / 3), 900, 600]
        red, green, blue = small.convert("RGB").getpixel((9, 9))
        assert red < 8
        assert abs(green - 128) < 8
        assert abs(blue - 128) < 8


def test_other_kinds_of_pictures_become_jpeg_and_small_ones_stay_small() -> None:
    album = Album()
    for mode in ("RGBA", "P", "L", "1", "CMYK", "I;16"):
        assert isinstance(album.add(Image.new(mode, (30, 20))), int | str)
    assert {tuple(sizes) for _, *sizes in album.pictures} == {(30, 20, 30, 20)}


def test_reason_stands_where_a_picture_is_gone_or_broken(tmp_path: Path) -> None:
    (tmp_path / "b.png").write_text("no picture")
    album = Album()
    assert album.add(tmp_path / "a.png") == f"{tmp_path / 'a.png'} does not exist"
    for picture, name in ((tmp_path / "b.png", "b.png"), (b"nothing", "a picture")):
        reason = album.add(picture)
        assert isinstance(reason, str)
        assert f"{name} cannot be read: " in reason
    assert album.pictures == []
    whole = write_picture(tmp_path / "c.jpg").read_bytes()
    (tmp_path / "c.jpg").write_bytes(whole[: len(whole) // 2])
    assert album.add(tmp_path / "c.jpg") == 0, "a file that is cut off is shown as far as the model saw it"
