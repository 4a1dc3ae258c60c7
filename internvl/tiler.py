"""Pictures as tiles: from a picture file to uint8 tiles of one size, pixel for pixel as published (PIL bicubic).

Tiles stay uint8 until they are on the device; `normalize` there gives the same floats as the published transform.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageFile
from torch import Tensor

from internvl.conversation import Picture
from internvl.errors import InputError, MissingError

NORMALIZATIONS: Mapping[str, tuple[tuple[float, float, float], tuple[float, float, float]]] = {
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "clip": ((0.4814546, 0.4578275, 0.40821073), (0.2686295, 0.2613025, 0.2757711)),
    "siglip": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
}


def open_picture(picture: Picture) -> Image.Image:
    """Decode a picture to RGB.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not a picture.
    """
    # Scans and panoramas are larger than PIL's alarm limit, and published runs read cut-off files as far as they go.
    Image.MAX_IMAGE_PIXELS = None
    ImageFile.LOAD_TRUNCATED_IMAGES = True
    name = f"{len(picture)} bytes in memory" if isinstance(picture, bytes) else str(picture)
    try:
        with Image.open(io.BytesIO(picture) if isinstance(picture, bytes) else picture) as image:
            return image.convert("RGB")
    except FileNotFoundError:
        raise MissingError(
            f"picture: expected a file, got {name}, which does not exist; check the root folder of its annotation file"
        ) from None
    except Exception as error:  # damaged headers make PIL raise OverflowError, MemoryError, SyntaxError and others
        raise InputError(
            f"picture: expected a readable picture, got {name} ({type(error).__name__}); replace the file"
        ) from None


@lru_cache(maxsize=64)
def _grids(min_tiles: int, max_tiles: int) -> tuple[tuple[int, int], ...]:
    """All (columns, rows) with a permitted number of tiles, fewest tiles first."""
    grids = [
        (columns, rows)
        for columns in range(1, max_tiles + 1)
        for rows in range(1, max_tiles // columns + 1)
        if columns * rows >= min_tiles
    ]
    return tuple(sorted(grids, key=lambda grid: grid[0] * grid[1]))


def choose_grid(width: int, height: int, *, min_tiles: int, max_tiles: int, image_size: int) -> tuple[int, int]:
    """The published choice of (columns, rows): the nearest aspect ratio.

    Of equally near ratios the larger grid wins only where the picture has more than half of its pixels.
    """
    aspect, area = width / height, width * height
    best, best_distance = (1, 1), float("inf")
    for columns, rows in _grids(min_tiles, max_tiles):
        distance = abs(aspect - columns / rows)
        roomy = area > 0.5 * image_size * image_size * columns * rows
        if distance < best_distance or (distance == best_distance and roomy):
            best, best_distance = (columns, rows), distance
    return best


def pad_to_square(image: Image.Image, background: tuple[int, ...] | int) -> Image.Image:
    """Centre the picture on a square of its longer side."""
    width, height = image.size
    if width == height:
        return image
    side = max(width, height)
    square = Image.new(image.mode, (side, side), background)
    square.paste(image, ((side - width) // 2, (side - height) // 2))
    return square


def background_color(normalization: str) -> tuple[int, int, int]:
    """The mean colour of a normalisation, cut to whole numbers as published."""
    red, green, blue = NORMALIZATIONS[normalization][0]
    return int(red * 255), int(green * 255), int(blue * 255)


def normalize(tiles: Tensor, normalization: str = "imagenet") -> Tensor:
    """Float32 values of uint8 tiles, bit-equal to torchvision's ToTensor and Normalize."""
    mean, std = (torch.tensor(v, device=tiles.device).view(3, 1, 1) for v in NORMALIZATIONS[normalization])
    return tiles.to(torch.float32).div_(255).sub_(mean).div_(std)


@dataclass(frozen=True, slots=True)
class ImageTiler:
    """How a picture becomes tiles.

    Attributes:
        image_size: side of a tile in pixels.
        dynamic: cut into the grid that fits the aspect ratio; off: one tile, the whole picture resized.
        min_tiles, max_tiles: bounds of the dynamic grid, the thumbnail not counted.
        thumbnail: after a grid of several tiles, the whole picture as one more tile.
        pad_to_square: without `dynamic`, keep the aspect ratio by padding with the mean colour.
        normalization: a name of `NORMALIZATIONS`.
    """

    image_size: int = 448
    dynamic: bool = False
    min_tiles: int = 1
    max_tiles: int = 12
    thumbnail: bool = False
    pad_to_square: bool = False
    normalization: str = "imagenet"

    def __post_init__(self) -> None:
        if self.normalization not in NORMALIZATIONS:
            raise InputError(
                f"normalization: expected one of {', '.join(NORMALIZATIONS)}, got {self.normalization!r}; choose one"
            )
        if not 1 <= self.min_tiles <= self.max_tiles:
            raise InputError(
                f"tiles: expected 1 <= min_dynamic_patch <= max_dynamic_patch, got {self.min_tiles} and "
                f"{self.max_tiles}; correct them"
            )

    def grid(self, width: int, height: int, max_tiles: int | None = None) -> tuple[int, int]:
        """The (columns, rows) that a picture of this size is cut into."""
        if not self.dynamic:
            return 1, 1
        limit = self.max_tiles if max_tiles is None else max_tiles
        return choose_grid(
            width, height, min_tiles=min(self.min_tiles, limit), max_tiles=limit, image_size=self.image_size
        )

    def count(self, width: int, height: int, max_tiles: int | None = None) -> int:
        """How many tiles a picture of this size becomes, thumbnail included."""
        columns, rows = self.grid(width, height, max_tiles)
        return columns * rows + (self.thumbnail and columns * rows > 1)

    def __call__(self, image: Image.Image, max_tiles: int | None = None) -> Tensor:
        """Tiles of an RGB picture, row by row, as uint8 of shape (tiles, 3, size, size)."""
        size = self.image_size
        columns, rows = self.grid(*image.size, max_tiles)
        if not self.dynamic and self.pad_to_square:
            image = pad_to_square(image, background_color(self.normalization))
        tiles = _cut(image.resize((columns * size, rows * size), Image.Resampling.BICUBIC), columns, rows)
        if self.dynamic and self.thumbnail and columns * rows > 1:
            tiles = np.concatenate([tiles, _cut(image.resize((size, size), Image.Resampling.BICUBIC), 1, 1)])
        return torch.from_numpy(np.ascontiguousarray(tiles))

    def blank(self) -> Tensor:
        """The white tile that stands in where a batch has no picture at all."""
        return torch.full((1, 3, self.image_size, self.image_size), 255, dtype=torch.uint8)


def _cut(image: Image.Image, columns: int, rows: int) -> np.ndarray:
    pixels = np.asarray(image)
    height, width = pixels.shape[0] // rows, pixels.shape[1] // columns
    grid = pixels.reshape(rows, height, columns, width, 3)
    return grid.transpose(0, 2, 4, 1, 3).reshape(rows * columns, 3, height, width)


def picture_name(picture: Picture) -> str:
    """A picture for messages."""
    return f"<{len(picture)} bytes>" if isinstance(picture, bytes) else str(Path(picture))
