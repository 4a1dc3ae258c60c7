"""Small pictures for the page: each picture is decoded once, however many samples show it."""

from __future__ import annotations

import base64
import io
from pathlib import Path

from evaluate.sample import identify
from internvl.conversation import Picture, StoredPicture

SIDE, QUALITY = 400, 72
"""Longest side of a small picture in pixels, and the quality of its JPEG."""


class Album:
    """Small pictures in the order they were asked for.

    Attributes:
        pictures: base64 of a JPEG, its width and height, and those of the original.
    """

    def __init__(self) -> None:
        self.pictures: list[tuple[str, int, int, int, int]] = []
        self._places: dict[str, int | str] = {}

    def add(self, picture: Picture) -> int | str:
        """The place of a picture in `pictures`, or why there is none."""
        name = identify(picture)
        if name not in self._places:
            try:
                self.pictures.append(shrink(picture))
                self._places[name] = len(self.pictures) - 1
            except FileNotFoundError:
                self._places[name] = f"{name} does not exist"
            except Exception as error:  # Pillow raises many kinds for a broken file; the page must show the rest
                shown = name if isinstance(picture, Path) else "a picture"
                self._places[name] = f"{shown} cannot be read: {error}"
        return self._places[name]


def shrink(picture: Picture) -> tuple[str, int, int, int, int]:
    """One picture as the page holds it; colours and orientation are those that the model sees."""
    from PIL import Image, ImageFile

    # What is cut off is shown as far as the model saw it.
    ImageFile.LOAD_TRUNCATED_IMAGES = True
    if isinstance(picture, StoredPicture):
        picture = picture.read()
    if isinstance(picture, bytes | Path):
        with Image.open(io.BytesIO(picture) if isinstance(picture, bytes) else picture) as image:
            width, height = image.size
            image.draft("RGB", (2 * SIDE, 2 * SIDE))  # a large JPEG is decoded smaller, in a fraction of the time
            small = image.convert("RGB")
    else:
        width, height = picture.size
        small = picture.convert("RGB")
    small.thumbnail((SIDE, SIDE))
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=QUALITY, optimize=True)
    return base64.b64encode(buffer.getvalue()).decode("ascii"), *small.size, width, height
