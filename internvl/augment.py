"""Training augmentation, as later published: pictures go through a JPEG of random quality; no crop and no flip."""

from __future__ import annotations

import io
from dataclasses import replace
from random import Random

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from internvl.errors import InputError
from internvl.tiler import ImageTiler

QUALITIES = (75, 100)
"""The lowest and the highest quality; all whole numbers between them are equally likely."""
MAX_SIDE = 65500
"""The longest side that a JPEG can have."""


def make_augmented_tiles(image: Image.Image, tiler: ImageTiler, max_tiles: int | None, random: Random) -> Tensor:
    """What the tiler makes of an RGB picture, with the augmentation where the published code has it.

    With dynamic tiling every tile is re-encoded by itself, also the thumbnail. Without, the whole picture is re-encoded
    before it is resized, and never padded: published augmentation takes the place of `pad_to_square`.
    """
    if tiler.dynamic:
        return reencode_tiles(tiler(image, max_tiles), random)
    return replace(tiler, pad_to_square=False)(reencode(image, random), max_tiles)


def reencode_tiles(tiles: Tensor, random: Random) -> Tensor:
    """Tiles, uint8 of shape (tiles, 3, size, size), as they come back from a JPEG each, in a new tensor."""
    results = torch.empty(tiles.shape, dtype=torch.uint8)
    for tile, result in zip(tiles.numpy(), results.numpy(), strict=True):
        # Pillow joins and separates planes several times faster than NumPy interleaves bytes.
        image = reencode(Image.merge("RGB", [Image.fromarray(plane) for plane in tile]), random)
        for band, plane in zip("RGB", result, strict=True):
            plane[:] = np.frombuffer(image.tobytes("raw", band), np.uint8).reshape(plane.shape)
    return results


def reencode(image: Image.Image, random: Random) -> Image.Image:
    """An RGB picture as it comes back from a JPEG, at a quality that is drawn from `QUALITIES`.

    Raises:
        ValueError: the picture is too large for a JPEG.
    """
    if max(image.size) > MAX_SIDE:
        raise InputError(
            f"picture: expected at most {MAX_SIDE} pixels a side where `data_augment` re-encodes it, got "
            f"{image.width} x {image.height}; make it smaller or set `data_augment` to false"
        )
    with io.BytesIO() as buffer:
        # Without the picture's own comment, which may be too long for a JPEG.
        image.save(buffer, format="JPEG", quality=random.randint(*QUALITIES), comment=b"")
        with Image.open(buffer, formats=("JPEG",)) as decoded:
            decoded.load()
            return decoded
