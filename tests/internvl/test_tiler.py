"""Tiles: the published grid, cut, padding and pixel values, and what is said about files that are no pictures."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import transforms

from internvl.errors import InputError, MissingError
from internvl.tiler import (
    NORMALIZATIONS,
    ImageTiler,
    background_color,
    normalize,
    open_picture,
    pad_to_square,
    read_size,
)

PHOTOS = Path(__file__).parents[3] / "shared" / "data" / "photos"
SIZES = [
    (1, 1),
    (3, 500),
    (500, 3),
    (28, 28),
    (29, 27),
    (56, 28),
    (57, 84),
    (100, 60),
    (60, 100),
    (333, 77),
    (640, 480),
]


def draw(width: int, height: int) -> Image.Image:
    """The picture of the golden notes: every pixel is known from its place."""
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    return Image.fromarray(np.stack([x * 7 % 256, y * 5 % 256, (x + y) % 256], axis=-1).astype(np.uint8))


def published_tiles(image: Image.Image, tiler: ImageTiler, grid: tuple[int, int]) -> torch.Tensor:
    """The published steps one by one: resize, crop every box, add the thumbnail, then torchvision on each."""
    image, size = image.convert("RGB"), tiler.image_size
    columns, rows = grid
    resized = image.resize((columns * size, rows * size))
    boxes = [(c * size, r * size, (c + 1) * size, (r + 1) * size) for r in range(rows) for c in range(columns)]
    tiles = [resized.crop(box) for box in boxes]
    if tiler.thumbnail and len(tiles) > 1:
        tiles.append(image.resize((size, size)))
    transform = transforms.Compose(
        [
            transforms.Resize((size, size), interpolation=transforms.InterpolationMode.BICUBIC),
            transforms.ToTensor(),
            transforms.Normalize(*NORMALIZATIONS[tiler.normalization]),
        ]
    )
    return torch.stack([transform(tile) for tile in tiles])


def tiler_of(settings: dict[str, Any]) -> ImageTiler:
    return ImageTiler(
        image_size=settings["image_size"],
        dynamic=True,
        min_tiles=settings["min_num"],
        max_tiles=settings["max_num"],
        thumbnail=settings["use_thumbnail"],
    )


@pytest.mark.golden("dynamic_tiling")
def test_grid_and_cut_are_the_published_ones(case, family):
    given, expected = case["input"], case["expected"]
    tiler = tiler_of(family["settings"][given["settings"]])
    columns, rows = tiler.grid(given["width"], given["height"])
    if case.get("order_dependent"):
        # Two grids of the same size are equally near, and the original takes the one that a set of tuples gives last.
        assert columns * rows == expected["grid"][0] * expected["grid"][1]
        return
    assert [columns, rows] == expected["grid"]
    assert tiler.count(given["width"], given["height"]) == expected["tiles"]
    assert [columns * tiler.image_size, rows * tiler.image_size] == expected["resize"]
    if "boxes" in expected:
        # A picture that already has the target size is only cut, so every tile must be a crop.
        image = draw(*expected["resize"])
        tiles = tiler(image)
        assert len(tiles) == expected["tiles"]
        crops = [np.asarray(image.crop(tuple(box))).transpose(2, 0, 1) for box in expected["boxes"]]
        assert np.array_equal(tiles[: len(crops)].numpy(), np.stack(crops))


@pytest.mark.golden("dynamic_tiling")
def test_tiles_of_all_sizes_add_up_to_the_published_sums(family):
    cases = {case["id"]: case["input"] for case in family["cases"]}
    sums = dict.fromkeys(family["aggregate"]["expected"]["tiles_per_settings"], 0)
    for name in family["aggregate"]["input_ids"]:
        given = cases[name]
        tiler = tiler_of(family["settings"][given["settings"]])
        sums[str(given["settings"])] += tiler.count(given["width"], given["height"])
    assert sums == family["aggregate"]["expected"]["tiles_per_settings"]


@pytest.mark.golden("pad2square", kind="mean_colour")
def test_background_is_the_mean_colour_cut_to_whole_numbers(case):
    name, expected = case["input"]["normalize"], case["expected"]
    assert background_color(name) == tuple(expected["rgb"])
    assert NORMALIZATIONS[name] == (tuple(expected["mean"]), tuple(expected["std"]))


@pytest.mark.golden("pad2square", kind="expand")
def test_padding_centres_the_picture(case):
    given, expected = case["input"], case["expected"]

    def color(value: Any) -> Any:
        return tuple(value) if isinstance(value, list) else value

    image = Image.new(given["mode"], tuple(given["size"]), color(given["fill"]))
    square = pad_to_square(image, color(given["background"]))
    assert square.size == (expected["side"], expected["side"])
    assert (square is image) == expected["unchanged"]
    for x, y, value in expected["probes"]:
        assert square.getpixel((x, y)) == color(value), (x, y)
    left, top = expected["offset"]
    right, bottom = left + image.width, top + image.height
    assert square.crop((left, top, right, bottom)).tobytes() == image.tobytes()


@pytest.mark.golden("pad2square", kind=("transform", "convert"))
def test_pixel_values_are_the_published_ones(case, family):
    given, expected = case["input"], case["expected"]
    image = draw(*given["size"]).convert(given.get("from_mode", "RGB")).convert("RGB")
    normalization = given.get("normalize", "imagenet")
    tiler = ImageTiler(
        image_size=given["input_size"], pad_to_square=given.get("pad2square", False), normalization=normalization
    )
    pixels = normalize(tiler(image), normalization)[0]
    tolerance = family["tolerance"][case["kind"]]
    assert list(pixels.shape) == expected["shape"]
    assert pixels.mean((1, 2)).tolist() == pytest.approx(expected["channel_mean"], abs=tolerance)
    if "channel_std" in expected:
        assert pixels.std((1, 2), correction=0).tolist() == pytest.approx(expected["channel_std"], abs=tolerance)
    for channel, y, x, value in expected.get("values", []):
        assert float(pixels[channel, y, x]) == pytest.approx(value, abs=tolerance), (channel, y, x)


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA"])
@pytest.mark.parametrize("size", SIZES)
def test_dynamic_tiles_equal_pil_and_torchvision_bit_for_bit(size, mode):
    image = draw(*size).convert(mode)
    tiler = ImageTiler(image_size=28, dynamic=True, max_tiles=6, thumbnail=True)
    tiles = tiler(image.convert("RGB"))
    assert tiles.dtype == torch.uint8
    assert torch.equal(normalize(tiles), published_tiles(image, tiler, tiler.grid(*size)))
    assert len(tiles) == tiler.count(*size)


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@pytest.mark.parametrize("padded", [False, True])
def test_a_single_tile_equals_pil_and_torchvision_bit_for_bit(normalization, padded):
    image = draw(333, 77)
    tiler = ImageTiler(image_size=28, pad_to_square=padded, thumbnail=True, normalization=normalization)
    expected = pad_to_square(image, background_color(normalization)) if padded else image
    # No thumbnail: it belongs to dynamic tiling, and a whole picture is its own.
    assert torch.equal(normalize(tiler(image), normalization), published_tiles(expected, tiler, (1, 1)))


@pytest.mark.skipif(not PHOTOS.is_dir(), reason="no folder with real photos")
@pytest.mark.parametrize("max_tiles", [1, 6, 12])
def test_photos_equal_pil_and_torchvision_bit_for_bit(max_tiles):
    paths = sorted(PHOTOS.glob("*.jpg"))
    assert paths
    tiler = ImageTiler(image_size=112, dynamic=True, max_tiles=max_tiles, thumbnail=True)
    for path in paths:
        with Image.open(path) as image:
            expected = published_tiles(image, tiler, tiler.grid(*image.size))
        assert torch.equal(normalize(tiler(open_picture(path))), expected), path.name


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_every_byte_is_normalised_as_torchvision_does(normalization):
    image = np.arange(256, dtype=np.uint8).repeat(3).reshape(16, 16, 3)
    pipeline = transforms.Compose([transforms.ToTensor(), transforms.Normalize(*NORMALIZATIONS[normalization])])
    tile = torch.from_numpy(image.transpose(2, 0, 1).copy())
    assert torch.equal(normalize(tile[None], normalization)[0], pipeline(image))


def test_a_picture_s_own_limit_of_tiles_wins_over_the_tiler_s():
    tiler = ImageTiler(image_size=28, dynamic=True, min_tiles=2, max_tiles=12, thumbnail=True)
    assert tiler.grid(280, 28) == (10, 1)
    assert tiler.grid(280, 28, 3) == (3, 1)
    # A limit under the tiler's minimum is still kept: it is what several pictures of one row share.
    assert tiler.grid(280, 28, 1) == (1, 1)
    assert len(tiler(draw(280, 28), 3)) == tiler.count(280, 28, 3) == 4
    assert len(tiler(draw(280, 28), 1)) == 1


def test_the_blank_tile_is_one_white_tile():
    blank = ImageTiler(image_size=28).blank()
    assert blank.shape == (1, 3, 28, 28)
    assert blank.dtype == torch.uint8
    assert bool((blank == 255).all())


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"normalization": "imagnet"}, "expected one of imagenet, clip, siglip, got 'imagnet'"),
        ({"min_tiles": 0}, "expected 1 <= min_dynamic_patch <= max_dynamic_patch, got 0 and 12"),
        ({"min_tiles": 4, "max_tiles": 2}, "got 4 and 2"),
    ],
)
def test_impossible_settings_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        ImageTiler(**fields)


@pytest.mark.parametrize(
    ("mode", "suffix"),
    [
        *((mode, "png") for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")),
        *((mode, "tiff") for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "LAB", "I", "F", "I;16")),
        *((mode, "jpg") for mode in ("L", "RGB", "CMYK")),
        ("P", "gif"),
        ("RGBA", "webp"),
    ],
)
def test_pictures_of_every_mode_become_rgb(mode, suffix, tmp_path):
    image = draw(40, 30)
    if mode == "LAB":
        image = Image.frombytes("LAB", image.size, image.tobytes())
    elif mode == "I;16":
        image = Image.fromarray(np.arange(1200, dtype=np.uint16).reshape(30, 40))
    else:
        image = image.convert("L").convert(mode) if mode in "IF" else image.convert(mode)
    path = tmp_path / f"picture.{suffix}"
    image.save(path)
    decoded = open_picture(path)
    with Image.open(path) as stored:
        assert stored.mode == mode or suffix in ("gif", "webp")
        expected = stored.convert("RGB")
    assert decoded.mode == "RGB"
    assert decoded.tobytes() == expected.tobytes()
    assert len(set(decoded.tobytes())) > 1
    assert open_picture(path.read_bytes()).tobytes() == expected.tobytes()


def test_a_palette_with_transparency_becomes_rgb(tmp_path):
    image = draw(40, 30).convert("P")
    image.save(tmp_path / "picture.png", transparency=0)
    assert open_picture(tmp_path / "picture.png").size == (40, 30)


def test_a_cut_off_picture_is_read_as_far_as_it_goes():
    buffer = io.BytesIO()
    draw(64, 64).save(buffer, "JPEG", quality=95)
    whole = np.asarray(open_picture(buffer.getvalue()))
    part = np.asarray(open_picture(buffer.getvalue()[: len(buffer.getvalue()) // 2]))
    assert part.shape == whole.shape
    assert np.array_equal(part[:8], whole[:8])
    assert not np.array_equal(part[48:], whole[48:])


@pytest.mark.parametrize("suffix", ["JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP"])
def test_a_cut_off_picture_can_be_refused_and_the_next_one_is_read_again(suffix):
    buffer = io.BytesIO()
    draw(64, 64).save(buffer, suffix)
    content = buffer.getvalue()
    with pytest.raises(ValueError, match=r"^picture: expected a readable picture, got \d+ bytes in memory"):
        open_picture(content[: len(content) // 2], refuse_truncated=True)
    for refuses in (True, False):
        whole = np.asarray(open_picture(content, refuse_truncated=refuses))
        assert whole.shape == (64, 64, 3)


@pytest.mark.parametrize("content", [b"", b"not a picture\n", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"])
def test_a_file_that_is_no_picture_is_named(content, tmp_path):
    path = tmp_path / "picture.jpg"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"^picture: expected a readable picture, got .*picture.jpg") as caught:
        open_picture(path)
    assert not isinstance(caught.value, FileNotFoundError)
    assert "\n" not in str(caught.value)


def test_a_missing_picture_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"^picture: expected a file, got .*lost\.jpg, which does not exist"):
        open_picture(tmp_path / "lost.jpg")


def test_the_size_is_read_without_decoding(tmp_path):
    draw(30, 20).save(tmp_path / "a.png")
    content = (tmp_path / "a.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(content[:60])
    for picture in (tmp_path / "a.png", tmp_path / "cut.png", content, draw(30, 20)):
        assert read_size(picture) == (30, 20)
    with pytest.raises(MissingError, match="gone"):
        read_size(tmp_path / "gone.png")
    with pytest.raises(InputError, match="readable picture, got 5 bytes"):
        read_size(b"words")


def test_a_folder_is_no_picture(tmp_path):
    with pytest.raises(ValueError, match=r"^picture: expected a readable picture"):
        open_picture(tmp_path)


def test_bytes_that_are_no_picture_are_counted():
    with pytest.raises(ValueError, match="got 5 bytes in memory"):
        open_picture(b"12345")


def test_a_header_that_claims_an_impossible_size_is_an_unreadable_picture():
    # PIL raises OverflowError or MemoryError here, which a training run must not take for a bug of its own.
    buffer = io.BytesIO()
    draw(8, 8).save(buffer, "BMP")
    broken = bytearray(buffer.getvalue())
    broken[18:26] = (0x7FFFFFF0).to_bytes(4, "little") * 2
    with pytest.raises(ValueError, match=r"^picture: expected a readable picture"):
        open_picture(bytes(broken))


def test_a_picture_larger_than_pil_s_alarm_limit_is_opened(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    buffer = io.BytesIO()
    draw(30, 30).save(buffer, "PNG")
    assert open_picture(buffer.getvalue()).size == (30, 30)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P"])
def test_a_decoded_picture_is_only_converted(mode):
    image = draw(40, 30).convert(mode)
    opened = open_picture(image)
    assert opened.mode == "RGB"
    assert opened.tobytes() == image.convert("RGB").tobytes()
    assert (opened is image) == (mode == "RGB")
