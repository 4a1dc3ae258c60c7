"""Frames of a video: which ones, in what order, and from where."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

from internvl.conversation import Video
from internvl.errors import InputError, MissingError

MAX_FRAMES = 32
"""The published upper bound for training; the default where a caller names none."""

_PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")


def middle_frames(num_frames: int, length: int) -> list[int]:
    """The middle of each of `num_frames` equal parts of a video; short videos repeat their last frame."""
    count = min(num_frames, length)
    if count == 0:
        return []
    # As numpy.linspace rounds: the published code cuts its evenly spaced floats to whole numbers.
    step = length / count
    edges = [*(int(k * step) for k in range(count)), length]
    frames = [(start + stop - 1) // 2 for start, stop in pairwise(edges)]
    return frames + [frames[-1]] * (num_frames - count)


def order_frames(names: Iterable[str]) -> list[str]:
    """File names by the number behind their last underscore; names without one come first."""

    def number(name: str) -> int:
        found = re.search(r"_(\d+)\.jpg$", name)
        return int(found.group(1)) if found else -1

    return sorted(names, key=number)


def read_video(video: Video, num_frames: int = MAX_FRAMES) -> list[Path]:
    """The frames of a folder: all of them, or `num_frames` evenly spaced ones where it has more."""
    if not video.path.is_dir():
        if video.path.is_file():
            raise InputError(
                f"video: expected a folder of frames, got the file {video.path}; extract its frames first, "
                "for example with ffmpeg"
            )
        raise MissingError(
            f"video: expected a folder of frames, got {video.path}, which does not exist; check the root folder"
        )
    if video.clip is not None:
        raise InputError(
            f"video: expected no `clip` for a folder of frames, got {video.clip}; folders have no time, remove it"
        )
    found = [path.name for path in video.path.iterdir() if path.suffix.lower() in _PICTURES]
    if not found:
        raise InputError(f"video: expected pictures in {video.path}, got none; extract the frames into it")
    names = order_frames(sorted(found, key=_natural))
    if len(names) > num_frames:
        names = [names[index] for index in middle_frames(num_frames, len(names))]
    return [video.path / name for name in names]


def _natural(name: str) -> tuple[tuple[int, int | str], ...]:
    """Sort key under which frame 2 comes before frame 10."""
    return tuple((0, int(part)) if part.isdecimal() else (1, part) for part in re.split(r"(\d+)", name))
