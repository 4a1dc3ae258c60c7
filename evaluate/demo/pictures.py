"""Small pictures for data in official layouts."""

from __future__ import annotations

from functools import cache
from io import BytesIO
from pathlib import Path

from PIL import Image

_SIZES = ((32, 24), (24, 40), (90, 20), (64, 64))
_MODES = {
    "JPEG": ("RGB", "RGB", "RGB", "L", "RGB", "CMYK", "RGB"),
    "PNG": ("RGB", "RGB", "RGBA", "P", "L", "RGB", "1"),
    "GIF": ("P",),
}
"""By file format: published sets have grey ones, palettes, inks, and grounds that shine through."""
_KINDS = {".png": "PNG", ".gif": "GIF"}
_TURNED = 6
_ORIENTATION = 274


@cache
def draw(number: int, kind: str = "JPEG") -> bytes:
    """The bytes of a picture that no other number has.

    Args:
        number: decides colours, size and mode.
        kind: the file format; every second GIF moves.
    """
    width, height = _SIZES[number % len(_SIZES)]
    picture = Image.new("RGB", (width + number % 8, height), _mix(number))
    picture.paste("gray", (0, 0, 1 + number % 23, 8 + number % 7))
    picture = picture.convert(_MODES[kind][number % len(_MODES[kind])])
    if picture.mode == "RGBA":
        picture.putalpha(100 + number % 100)
    exif = Image.Exif()
    if kind == "JPEG" and number % 10 == _TURNED:
        exif[_ORIENTATION] = _TURNED  # cameras lie on their side, and say so
    stream = BytesIO()
    if kind == "GIF" and number % 2:
        second = Image.new("RGB", picture.size, _mix(number + 1)).convert("P")
        picture.save(stream, kind, save_all=True, append_images=[second], duration=100)
    else:
        picture.save(stream, kind, exif=exif)
    return stream.getvalue()


def write_picture(path: Path, number: int) -> None:
    """A picture file in the format of its name, with its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(draw(number, _KINDS.get(path.suffix, "JPEG")))


def _mix(number: int) -> tuple[int, int, int]:
    return number * 37 % 256, number * 101 % 256, number * 173 % 256
