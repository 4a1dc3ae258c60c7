"""Pixels of picture files: every kind of file against the published steps bit for bit, and what `resize` changes."""

from __future__ import annotations

import io
import json
import struct
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
import pytest
import torch
from PIL import Image, ImageFile, PngImagePlugin
from torchvision import transforms
from torchvision.transforms.functional import pil_to_tensor

from internvl.processor import InternVLProcessor
from internvl.tiler import NORMALIZATIONS, ImageTiler, background_color, normalize, open_picture, pad_to_square
from tests.tiny import tiny_checkpoint

PHOTOS = Path(__file__).parents[3] / "shared" / "data" / "photos"
Resize = Callable[[Image.Image, tuple[int, int]], Image.Image]
TILER = ImageTiler(image_size=28, dynamic=True, max_tiles=6, thumbnail=True)
SIZES = [(1, 1), (1, 300), (300, 1), (2, 3), (27, 29), (28, 28), (56, 28), (61, 43), (90, 400), (160, 120), (257, 255)]


def paint(width: int, height: int) -> Image.Image:
    """Soft colours under noise, so that neither resizing nor rounding is trivial."""
    random = np.random.default_rng(width * 1000 + height)
    soft = Image.fromarray(random.integers(0, 256, (6, 8, 3), dtype=np.uint8)).resize((width, height))
    noisy = np.asarray(soft) + random.normal(0, 8, (height, width, 1))
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))


def save(image: Image.Image, suffix: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, suffix, **options)
    return buffer.getvalue()


def in_mode(mode: str, suffix: str, **options: object) -> Callable[[Image.Image], bytes]:
    return lambda image: save(image.convert(mode), suffix, **options)


def deep_gray(suffix: str) -> Callable[[Image.Image], bytes]:
    """16 bits per pixel; few values are small enough to survive what Pillow does to them."""
    return lambda image: save(Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 3), suffix)


def deep_color(image: Image.Image) -> bytes:
    """A PNG of 16 bits per colour, which Pillow reads and cannot write."""
    values = (np.asarray(image) * np.uint16(256) + np.asarray(image)[::-1]).astype(">u2")
    lines = b"".join(b"\0" + line.tobytes() for line in values)
    header = struct.pack(">IIBBBBB", *image.size, 16, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(lines)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
        for name, content in chunks
    )


def in_floats(image: Image.Image) -> bytes:
    """Grey values with fractions, some above the white of 8 bits."""
    return save(Image.fromarray(np.asarray(image.convert("L")).astype(np.float32) * 1.37), "TIFF")


def in_integers(image: Image.Image) -> bytes:
    """Grey values of 32 bits, some above the white of 8 bits."""
    return save(Image.fromarray(np.asarray(image.convert("L")).astype(np.int32) * 3), "TIFF")


def turned(image: Image.Image) -> bytes:
    """A photo whose EXIF data ask the viewer to turn it by a quarter."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return save(image, "JPEG", quality=90, exif=exif)


def see_through_palette(image: Image.Image) -> bytes:
    """A transparency for every entry of the palette."""
    return save(image.convert("P"), "PNG", transparency=bytes(range(0, 256, 2)))


def talkative(image: Image.Image) -> bytes:
    """A compressed text that is longer than Pillow reads by itself."""
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", "a" * 2 * PngImagePlugin.MAX_TEXT_CHUNK, zip=True)
    return save(image, "PNG", pnginfo=text)


def moving(suffix: str) -> Callable[[Image.Image], bytes]:
    """Several frames or pages, the first one being the picture."""
    return lambda image: save(
        image, suffix, save_all=True, append_images=[image.transpose(Image.Transpose.ROTATE_180)] * 2
    )


def cut_off(suffix: str, **options: object) -> Callable[[Image.Image], bytes]:
    """Two thirds of a file."""

    def cut(image: Image.Image) -> bytes:
        content = save(image, suffix, **options)
        return content[: len(content) - (len(content) - 640) // 3]

    return cut


FILES: dict[str, Callable[[Image.Image], bytes]] = {
    "jpeg": in_mode("RGB", "JPEG", quality=90),
    "progressive jpeg": in_mode("RGB", "JPEG", quality=80, progressive=True),
    "gray jpeg": in_mode("L", "JPEG"),
    "cmyk jpeg": in_mode("CMYK", "JPEG", quality=90),
    "exif-rotated jpeg": turned,
    "jpeg with colours as fine as its light": in_mode("RGB", "JPEG", quality=90, subsampling="4:4:4"),
    "jpeg that is not stored as light and colours": in_mode("RGB", "JPEG", quality=90, keep_rgb=True),
    "cut-off jpeg": cut_off("JPEG", quality=95),
    "cut-off progressive jpeg": cut_off("JPEG", quality=95, progressive=True),
    "cut-off png": cut_off("PNG"),
    "rgb png": in_mode("RGB", "PNG"),
    "rgb png with one transparent colour": in_mode("RGB", "PNG", transparency=(0, 0, 0)),
    "rgba png": lambda image: save(Image.merge("RGBA", (*image.split(), image.getchannel(0))), "PNG"),
    "gray png": in_mode("L", "PNG"),
    "gray and alpha png": lambda image: save(Image.merge("LA", image.split()[:2]), "PNG"),
    "palette png": in_mode("P", "PNG"),
    "palette png with a transparent entry": in_mode("P", "PNG", transparency=3),
    "palette png with transparent entries": see_through_palette,
    "16-bit png": deep_gray("PNG"),
    "16-bit colour png": deep_color,
    "1-bit png": in_mode("1", "PNG"),
    "png with a long text": talkative,
    "animated png": moving("PNG"),
    "two jpegs in one (mpo)": moving("MPO"),
    "cmyk tiff": in_mode("CMYK", "TIFF"),
    "ycbcr tiff": in_mode("YCbCr", "TIFF"),
    "rgba tiff": in_mode("RGBA", "TIFF"),
    "palette tiff": in_mode("P", "TIFF"),
    "fax tiff": in_mode("1", "TIFF", compression="group4"),
    "16-bit tiff": deep_gray("TIFF"),
    "32-bit tiff": in_integers,
    "float tiff": in_floats,
    "compressed tiff": in_mode("RGB", "TIFF", compression="tiff_lzw"),
    "tiff of several pages": moving("TIFF"),
    "gif": in_mode("P", "GIF"),
    "gif with a transparent entry": in_mode("P", "GIF", transparency=3),
    "animated gif": moving("GIF"),
    "bmp": in_mode("RGB", "BMP"),
    "webp": in_mode("RGB", "WEBP", quality=90),
    "lossless webp": in_mode("RGB", "WEBP", lossless=True),
    "rgba webp": in_mode("RGBA", "WEBP", quality=90),
    "animated webp": moving("WEBP"),
}


def resize(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    return image.resize(size)


def resize_width_first(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """What `resize` did before Pillow 13 and torch does: 13 begins with the height where that pays."""
    return image.resize((size[0], image.height)).resize(size)


def published_tiles(image: Image.Image, tiler: ImageTiler, resize: Resize = resize) -> list[Image.Image]:
    """The published steps one by one: the whole picture to the grid, crops, the thumbnail."""
    size, (columns, rows) = tiler.image_size, tiler.grid(*image.size)
    resized = resize(image, (columns * size, rows * size))
    boxes = [(c * size, r * size, (c + 1) * size, (r + 1) * size) for r in range(rows) for c in range(columns)]
    tiles = [resized.crop(box) for box in boxes]
    if tiler.thumbnail and len(tiles) > 1:
        tiles.append(resize(image, (size, size)))
    return tiles


def published_pixels(content: bytes, tiler: ImageTiler) -> torch.Tensor:
    """From the file to floats, with torchvision on every tile."""
    size = (tiler.image_size, tiler.image_size)
    transform = transforms.Compose(
        [
            transforms.Resize(size, interpolation=transforms.InterpolationMode.BICUBIC),
            transforms.ToTensor(),
            transforms.Normalize(*NORMALIZATIONS[tiler.normalization]),
        ]
    )
    image = Image.open(io.BytesIO(content)).convert("RGB")
    if not tiler.dynamic:
        padded = pad_to_square(image, background_color(tiler.normalization)) if tiler.pad_to_square else image
        return transform(padded)[None]
    return torch.stack([transform(tile) for tile in published_tiles(image, tiler)])


def check_fast_resize(image: Image.Image, tiler: ImageTiler, share: float) -> None:
    """The fast resize changes no more than this share of the bytes, none of them by more than 2."""
    fast = replace(tiler, resize="torch")(image)
    published = torch.stack([pil_to_tensor(tile) for tile in published_tiles(image, tiler, resize_width_first)])
    assert fast.dtype == torch.uint8
    assert fast.shape == published.shape
    difference = (fast.short() - published.short()).abs()
    assert int(difference.max()) <= 2
    assert float((difference > 0).float().mean()) <= share


@pytest.fixture(autouse=True)
def _published_guards(monkeypatch):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)


@pytest.mark.filterwarnings("ignore:Palette images with Transparency")
@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("kind", FILES)
def test_a_file_of_any_kind_and_size_gives_the_published_pixels(kind, size, tmp_path):
    content = FILES[kind](paint(*size))
    path = tmp_path / "picture"
    path.write_bytes(content)
    expected = published_pixels(content, TILER)
    for picture in (path, content):
        tiles = TILER(open_picture(picture))
        assert tiles.dtype == torch.uint8
        assert tiles.is_contiguous()
        assert torch.equal(normalize(tiles), expected)


@pytest.mark.parametrize("dynamic", [False, True])
def test_pictures_of_any_size_give_the_published_pixels_whatever_the_settings(dynamic):
    random = Random(dynamic)
    for _ in range(60):
        tiler = ImageTiler(
            image_size=random.choice([14, 28, 42]),
            dynamic=dynamic,
            min_tiles=random.randint(1, 4),
            max_tiles=random.randint(4, 24),
            thumbnail=random.random() < 0.5,
            pad_to_square=random.random() < 0.5,
            normalization=random.choice(list(NORMALIZATIONS)),
        )
        size = random.randint(1, 300), random.randint(1, 300)
        content = save(paint(*size), "PNG")
        tiles = tiler(open_picture(content))
        assert len(tiles) == tiler.count(*size), (size, tiler)
        assert torch.equal(normalize(tiles, tiler.normalization), published_pixels(content, tiler)), (size, tiler)


def test_the_turn_that_exif_asks_for_is_ignored_as_published():
    image = paint(120, 40)
    plain = TILER(open_picture(save(image, "JPEG", quality=90)))
    assert open_picture(turned(image)).size == (120, 40)
    assert torch.equal(TILER(open_picture(turned(image))), plain)


@pytest.mark.filterwarnings("ignore:Palette images with Transparency")
@pytest.mark.parametrize("kind", FILES)
def test_the_files_of_these_tests_are_no_plain_surfaces(kind):
    # Two broken files would be equally black.
    decoded = np.asarray(open_picture(FILES[kind](paint(90, 70))))
    assert all(len(np.unique(decoded[..., channel])) > 1 for channel in range(3))


@pytest.mark.parametrize("suffix", ["GIF", "PNG", "TIFF"])
def test_the_first_frame_of_several_counts(suffix):
    image = paint(60, 50).convert("P").convert("RGB")
    decoded = open_picture(moving(suffix)(image))
    assert np.array_equal(np.asarray(decoded), np.asarray(image))


@pytest.mark.parametrize("size", [(1000, 750), (640, 480), (448, 448), (1920, 1080)])
def test_tiles_of_full_size_are_the_published_ones(size):
    tiler = ImageTiler(dynamic=True, thumbnail=True)
    content = save(paint(*size), "JPEG", quality=90)
    tiles = tiler(open_picture(content))
    assert len(tiles) == {1000: 13, 640: 13, 448: 1, 1920: 9}[size[0]]
    assert torch.equal(normalize(tiles), published_pixels(content, tiler))
    for padded in (False, True):
        fixed = ImageTiler(pad_to_square=padded)
        assert torch.equal(normalize(fixed(open_picture(content))), published_pixels(content, fixed))


@pytest.mark.skipif(not PHOTOS.is_dir(), reason="no folder with real photos")
def test_real_photos_give_the_published_pixels_and_stay_near_them_with_the_fast_resize():
    tiler = ImageTiler(dynamic=True, thumbnail=True)
    paths = sorted(PHOTOS.glob("*.jpg"))
    assert paths
    for path in paths:
        image = open_picture(path)
        assert torch.equal(normalize(tiler(image)), published_pixels(path.read_bytes(), tiler)), path.name
        check_fast_resize(image, tiler, share=0.01)


def test_the_fast_resize_changes_few_bytes_by_little():
    image, tiler = paint(1000, 750), ImageTiler(dynamic=True, thumbnail=True)
    check_fast_resize(image, tiler, share=0.006)
    # If nothing changed, the option would be needless, and so would its warning.
    assert not torch.equal(replace(tiler, resize="torch")(image), tiler(image))


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("dynamic", [False, True])
def test_the_fast_resize_cuts_as_the_published_one_does(size, dynamic):
    check_fast_resize(paint(*size), replace(TILER, dynamic=dynamic, thumbnail=dynamic), share=0.02)


def test_a_picture_that_is_only_cut_is_equal_with_both_resizes():
    image = paint(84, 28)
    tiler = ImageTiler(image_size=28, dynamic=True, max_tiles=3)
    assert torch.equal(replace(tiler, resize="torch")(image), tiler(image))
    assert np.array_equal(torch.cat(tuple(tiler(image)), dim=2).permute(1, 2, 0).numpy(), np.asarray(image))


def test_the_published_resize_is_the_default_whatever_a_checkpoint_says(tmp_path):
    assert ImageTiler().resize == "pillow"
    folder = tiny_checkpoint(tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"resize": "torch"}))
    assert InternVLProcessor.from_pretrained(folder).tiler.resize == "pillow"
    assert InternVLProcessor.from_pretrained(folder, resize="torch").tiler.resize == "torch"


def test_an_unknown_resize_is_refused():
    with pytest.raises(ValueError, match=r"^resize: expected one of pillow, torch, got 'cv2'; choose one"):
        ImageTiler(resize="cv2")
