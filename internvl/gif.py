"""GIF files: how many frames they have and when, and the pictures of some of them, decoded with Pillow."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image

from internvl.errors import InputError
from internvl.frames import Choice, Clip, Timeline, VideoInfo

_SHORTEST = 20
"""Milliseconds; browsers take anything shorter for a mistake."""
_USUAL = 100
"""What browsers take instead."""


def probe_gif(path: Path, clip: Clip | None = None) -> VideoInfo:
    """Number of frames and frames per second of a GIF file or of a clip of it."""
    with _open(path) as image:
        timeline = _read_timeline(image)
    return timeline.describe(timeline.select(clip, path))


def read_gif(path: Path, clip: Clip | None, choose: Choice) -> list[Image.Image]:
    """The chosen frames of a GIF file as RGB pictures."""
    pictures = []
    with _open(path) as image:
        timeline = _read_timeline(image)
        span = timeline.select(clip, path)
        for number in choose(timeline.describe(span)):
            image.seek(span[number])
            pictures.append(image.convert("RGB"))
    return pictures


@contextmanager
def _open(path: Path) -> Iterator[Image.Image]:
    try:
        with Image.open(path, formats=["GIF"]) as image:
            yield image
    except InputError:
        raise
    except Exception as error:  # damaged files make PIL raise SyntaxError, IndexError and others
        raise InputError(
            f"video: expected a readable GIF, got {path} ({type(error).__name__}); replace the file"
        ) from None


def _read_timeline(image: Image.Image) -> Timeline:
    seconds, now = [], 0.0
    for number in range(getattr(image, "n_frames", 1)):
        image.seek(number)
        seconds.append(now / 1000)
        shown = image.info.get("duration", 0)
        now += shown if shown >= _SHORTEST else _USUAL
    return Timeline(seconds, 1000 * len(seconds) / now)
