"""Training augmentation: byte for byte what Pillow's JPEG gives, where published code has it, and repeatable."""

from __future__ import annotations

import io
from dataclasses import replace
from random import Random

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torchvision import transforms

from internvl.augment import make_augmented_tiles, reencode, reencode_tiles
from internvl.tiler import NORMALIZATIONS, ImageTiler, normalize

DYNAMIC = ImageTiler(image_size=28, dynamic=True, max_tiles=6, thumbnail=True)


class Recorder(Random):
    """Random numbers that remember what was drawn."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.drawn: list[int] = []

    def randint(self, a: int, b: int) -> int:
        self.drawn.append(super().randint(a, b))
        return self.drawn[-1]


def paint(width: int, height: int) -> Image.Image:
    """Soft colours under noise, which a JPEG changes at every quality."""
    random = np.random.default_rng(width * 1000 + height)
    soft = Image.fromarray(random.integers(0, 256, (6, 8, 3), dtype=np.uint8)).resize((width, height))
    noisy = np.asarray(soft) + random.normal(0, 8, (height, width, 1))
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))


def paint_tiles(count: int, size: int) -> Tensor:
    tiles = [np.asarray(paint(size + number, size))[:, -size:] for number in range(count)]
    return torch.from_numpy(np.stack(tiles)).permute(0, 3, 1, 2).contiguous()


def published_jpeg(image: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, format="JPEG", quality=quality)
    buffer.seek(0)
    return Image.open(buffer).copy()


def published_tile(image: Image.Image, quality: int, size: int) -> Tensor:
    """The published transform of one picture or tile."""
    return transforms.Compose(
        [
            transforms.Lambda(lambda image: published_jpeg(image, quality)),
            transforms.Resize((size, size), interpolation=transforms.InterpolationMode.BICUBIC),
            transforms.ToTensor(),
            transforms.Normalize(*NORMALIZATIONS["imagenet"]),
        ]
    )(image)


@pytest.mark.parametrize(("count", "size"), [(1, 1), (2, 7), (30, 28), (3, 100), (2, 448)])
def test_every_tile_is_what_a_jpeg_of_its_own_gives_back(count, size):
    tiles, random = paint_tiles(count, size), Recorder(count)
    given = tiles.clone()
    results = reencode_tiles(tiles, random)
    assert results.dtype == torch.uint8
    assert results.is_contiguous()
    assert len(random.drawn) == count
    for tile, result, quality in zip(tiles, results, random.drawn, strict=True):
        expected = published_jpeg(Image.fromarray(tile.permute(1, 2, 0).numpy().copy()), quality)
        assert np.array_equal(result.permute(1, 2, 0).numpy(), np.asarray(expected))
    assert torch.equal(tiles, given)


def test_how_tiles_lie_in_memory_does_not_matter():
    tiles = paint_tiles(3, 28)
    expected = reencode_tiles(tiles, Random(0))
    for scattered in (tiles.contiguous(memory_format=torch.channels_last), torch.stack([tiles, tiles], dim=4)[..., 0]):
        assert not scattered.is_contiguous()
        results = reencode_tiles(scattered, Random(0))
        assert results.is_contiguous()
        assert torch.equal(results, expected)


def test_no_tiles_are_no_tiles():
    random = Recorder(0)
    assert reencode_tiles(torch.empty((0, 3, 28, 28), dtype=torch.uint8), random).shape == (0, 3, 28, 28)
    assert random.drawn == []


def test_the_same_random_state_gives_the_same_tiles_and_another_gives_others():
    tiles = paint_tiles(8, 28)
    first, again, other = (reencode_tiles(tiles, Random(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_all_qualities_from_75_to_100_are_drawn_and_equally_often():
    random = Recorder(0)
    reencode_tiles(torch.zeros((2600, 3, 2, 2), dtype=torch.uint8), random)
    counts = np.bincount(random.drawn, minlength=101)
    assert set(random.drawn) == set(range(75, 101))
    assert counts[75:].min() > 60
    assert counts[75:].max() < 140


@pytest.mark.parametrize("size", [(1, 1), (28, 28), (56, 28), (90, 400), (160, 120), (257, 255)])
@pytest.mark.parametrize("resize", ["pillow", "torch"])
def test_with_dynamic_tiling_the_finished_tiles_are_reencoded(size, resize):
    image, tiler, random = paint(*size), replace(DYNAMIC, resize=resize, pad_to_square=True), Recorder(5)
    tiles = make_augmented_tiles(image, tiler, 4, random)
    plain = tiler(image, 4)
    expected = [
        published_tile(Image.fromarray(tile.permute(1, 2, 0).numpy().copy()), quality, 28)
        for tile, quality in zip(plain, random.drawn, strict=True)
    ]
    assert torch.equal(normalize(tiles), torch.stack(expected))


@pytest.mark.parametrize("size", [(1, 1), (28, 28), (56, 28), (90, 400), (160, 120), (257, 255)])
@pytest.mark.parametrize("padded", [False, True])
def test_without_it_the_whole_picture_is_reencoded_before_it_is_resized_and_never_padded(size, padded):
    image, random = paint(*size), Recorder(6)
    tiles = make_augmented_tiles(image, replace(DYNAMIC, dynamic=False, pad_to_square=padded), None, random)
    assert torch.equal(normalize(tiles), published_tile(image, random.drawn[0], 28)[None])
    assert len(random.drawn) == 1


def test_what_a_picture_says_beside_its_pixels_does_not_matter():
    image = paint(40, 30)
    expected = reencode(image, Random(0)).tobytes()
    image.info.update(comment=b"a" * 70_000, xmp=b"b" * 70_000, exif=b"c" * 70_000)
    assert reencode(image, Random(0)).tobytes() == expected


def test_a_picture_that_no_jpeg_can_hold_is_refused():
    longest = Image.new("RGB", (65500, 1))
    assert reencode(longest, Random(0)).size == (65500, 1)
    with pytest.raises(ValueError, match=r"^picture: expected at most 65500 pixels a side .*, got 1 x 65501; make it"):
        reencode(Image.new("RGB", (1, 65501)), Random(0))
