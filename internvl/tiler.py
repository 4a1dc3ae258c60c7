"""Pictures as tiles: from a picture file to uint8 tiles of one size, pixel for pixel as published (PIL bicubic).

Tiles stay uint8 until they are on the device; `normalize` there gives the same floats as the published transform.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from PIL import Image, ImageFile
from torch import Tensor
from torch.nn.functional import interpolate

from internvl.conversation import Picture, StoredPicture
from internvl.errors import InputError, MissingError
from internvl.normalization import NORMALIZATIONS


def open_picture(picture: Picture, *, refuse_truncated: bool = False) -> Image.Image:
    """Decode a picture to RGB; one that is decoded already is only converted.

    Args:
        picture: a file, the bytes of one, one inside a larger file, or a decoded picture.
        refuse_truncated: a file that is cut off or damaged is an error, and not read as far as it goes.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not a picture.
    """
    if isinstance(picture, Image.Image):
        return picture if picture.mode == "RGB" else picture.convert("RGB")
    if isinstance(picture, StoredPicture):
        picture = picture.read()
    # Scans and panoramas are larger than PIL's alarm limit, and published runs read cut-off files as far as they go.
    Image.MAX_IMAGE_PIXELS = None
    ImageFile.LOAD_TRUNCATED_IMAGES = not refuse_truncated
    name = f"{len(picture)} bytes in memory" if isinstance(picture, bytes) else str(picture)
    try:
        with Image.open(io.BytesIO(picture) if isinstance(picture, bytes) else picture) as image:
            # What `convert` does where there is nothing to convert is copy.
            image.load()
            return image if image.mode == "RGB" else image.convert("RGB")
    except FileNotFoundError:
        raise MissingError(
            f"picture: expected a file, got {name}, which does not exist; check the root folder of its annotation file"
        ) from None
    except Exception as error:  # damaged headers make PIL raise OverflowError, MemoryError, SyntaxError and others
        raise InputError(
            f"picture: expected a readable picture, got {name} ({type(error).__name__}); replace the file"
        ) from None


def read_size(picture: Picture) -> tuple[int, int]:
    """Width and height of a picture, without decoding it.

    Raises: as `open_picture`.
    """
    if isinstance(picture, Image.Image):
        return picture.size
    if isinstance(picture, StoredPicture):
        picture = picture.read()
    Image.MAX_IMAGE_PIXELS = None
    try:
        with Image.open(io.BytesIO(picture) if isinstance(picture, bytes) else picture) as image:
            return image.size
    except Exception:  # the message is that of the picture's decoding
        return open_picture(picture).size


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
    # A tensor on the device, because CUDA multiplies by the reciprocal of a plain number, which rounds differently.
    whole = torch.tensor(255.0, device=tiles.device)
    return tiles.to(torch.float32).div_(whole).sub_(mean).div_(std)


Planes = Sequence[np.ndarray]
"""The red, green and blue bytes of a picture, each of shape (height, width)."""


def _resize_with_pillow(image: Image.Image, sizes: Sequence[tuple[int, int]]) -> Iterator[Planes]:
    for size in sizes:
        resized = image if image.size == size else image.resize(size, Image.Resampling.BICUBIC)
        # Pillow separates the colours while it copies them out anyway; doing that to its interleaved bytes is slower.
        planes = [np.frombuffer(resized.tobytes("raw", band), np.uint8) for band in "RGB"]
        yield [plane.reshape(size[::-1]) for plane in planes]


def _resize_with_torch(image: Image.Image, sizes: Sequence[tuple[int, int]]) -> Iterator[Planes]:
    pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None]
    for size in sizes:
        fits = image.size == size
        resized = pixels if fits else interpolate(pixels, size=size[::-1], mode="bicubic", antialias=True)
        yield list(resized[0].numpy())


RESIZERS: Mapping[str, Callable[[Image.Image, Sequence[tuple[int, int]]], Iterator[Planes]]] = {
    "pillow": _resize_with_pillow,
    "torch": _resize_with_torch,
}


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
        refuse_truncated: a picture file that is cut off is an error; published runs, and scores that are compared with
            theirs, read it as far as it goes.
        resize: "pillow" gives the published pixels. "torch" is several times faster, but about one byte in 300 differs
            by 1 or 2, which can change an answer: fit for training, never for scores that are compared.
    """

    image_size: int = 448
    dynamic: bool = False
    min_tiles: int = 1
    max_tiles: int = 12
    thumbnail: bool = False
    pad_to_square: bool = False
    normalization: str = "imagenet"
    refuse_truncated: bool = False
    resize: str = "pillow"

    def __post_init__(self) -> None:
        if self.normalization not in NORMALIZATIONS:
            raise InputError(
                f"normalization: expected one of {', '.join(NORMALIZATIONS)}, got {self.normalization!r}; choose one"
            )
        if self.resize not in RESIZERS:
            raise InputError(f"resize: expected one of {', '.join(RESIZERS)}, got {self.resize!r}; choose one")
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
        grids = [(columns, rows)]
        if not self.dynamic and self.pad_to_square:
            image = pad_to_square(image, background_color(self.normalization))
        if self.dynamic and self.thumbnail and columns * rows > 1:
            grids.append((1, 1))
        tiles = torch.empty((sum(c * r for c, r in grids), 3, size, size), dtype=torch.uint8)
        resized = RESIZERS[self.resize](image, [(c * size, r * size) for c, r in grids])
        start = 0
        for planes, (columns, rows) in zip(resized, grids, strict=True):
            cells = tiles[start : start + columns * rows].numpy().reshape(rows, columns, 3, size, size)
            for channel, plane in enumerate(planes):
                cells[:, :, channel] = plane.reshape(rows, size, columns, size).swapaxes(1, 2)
            start += columns * rows
        return tiles

    def blank(self) -> Tensor:
        """The white tile that stands in where a batch has no picture at all."""
        return torch.full((1, 3, self.image_size, self.image_size), 255, dtype=torch.uint8)
