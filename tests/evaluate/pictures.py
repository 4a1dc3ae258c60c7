"""Small pictures for data in official layouts."""

from __future__ import annotations

from functools import cache
from io import BytesIO
from pathlib import Path

from PIL import Image

from evaluate.sample import Sample
from internvl.conversation import StoredPicture


@cache
def draw(number: int, kind: str = "JPEG") -> bytes:
    """The bytes of a picture that no other number has."""
    colour = (number * 37 % 256, number * 101 % 256, number * 173 % 256)
    picture = Image.new("RGB", (32 + number % 8, 24), colour)
    picture.paste("gray", (0, 0, 1 + number % 30, 8))
    stream = BytesIO()
    picture.save(stream, kind)
    return stream.getvalue()


def read_stored(sample: Sample) -> list[bytes]:
    """The pictures of a sample that lie in a table."""
    pictures = sample.prompt.images
    assert all(isinstance(picture, StoredPicture) for picture in pictures)
    return [picture.read() for picture in pictures if isinstance(picture, StoredPicture)]


def write_picture(path: Path, number: int) -> None:
    """A picture file, with its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(draw(number, "PNG" if path.suffix == ".png" else "JPEG"))
