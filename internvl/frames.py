"""Which frames of a video are taken: the published rules, and how a run samples with them."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from internvl.errors import InputError

MAX_FRAMES = 32
"""The published upper bound for training; the default where a caller names none."""

Clip = tuple[float, float]
"""From which second on, and up to which."""

_WORD = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """What a video has to offer, without its pictures.

    Attributes:
        num_frames: frames inside the clip.
        fps: frames per second; 1.0 where frames have no time, as in a folder.
    """

    num_frames: int
    fps: float


Choice = Callable[[VideoInfo], Sequence[int]]
"""Says of a video or of a clip which of its frames are wanted, in rising order."""


@dataclass(frozen=True, slots=True)
class Timeline:
    """When each frame of a video appears, in seconds, the first at 0; and its frames per second."""

    seconds: Sequence[float]
    fps: float

    def select(self, clip: Clip | None, path: Path) -> range:
        """The frames that are on the screen during a clip; `path` is for the error where there are none."""
        if clip is None:
            return range(len(self.seconds))
        first = max(0, bisect_right(self.seconds, clip[0]) - 1)
        span = range(first, bisect_left(self.seconds, clip[1]))
        length = self.seconds[-1] + 1 / self.fps
        if not span or clip[0] >= length:
            raise InputError(
                f"video: expected a `clip` within the {length:g} seconds of {path}, got {list(clip)}; correct it"
            )
        return span

    def describe(self, span: range) -> VideoInfo:
        """The selected frames as a video of their own."""
        return VideoInfo(len(span), self.fps)


@dataclass(frozen=True, slots=True)
class FrameSampling:
    """How many frames of a video are taken, and which.

    Attributes:
        min_frames, max_frames: bounds of the number that is drawn; `fps` strategies know only the upper one.
        strategy: "middle" takes the middle of equal parts, "rand" a random frame of each part, "fps2" two a second.
    """

    min_frames: int = MAX_FRAMES
    max_frames: int = MAX_FRAMES
    strategy: str = "middle"

    def __post_init__(self) -> None:
        if self.strategy not in ("middle", "rand") and not self._rate:
            raise InputError(
                "frame sampling: expected middle, rand, or fps and a number above 0 such as fps0.5, got "
                f"{self.strategy!r}; choose one"
            )
        if not 1 <= self.min_frames <= self.max_frames:
            raise InputError(
                f"frames: expected 1 <= min_frames <= max_frames, got {self.min_frames} and {self.max_frames}; "
                "correct them"
            )

    def count(self, info: VideoInfo, key: int) -> int:
        """How many frames of a video are taken; a number that is drawn depends on the key alone.

        A short video gives what it has: the published code repeats its last frame, which is paid for and says nothing.
        """
        if self._rate:
            return min(max(1, len(self._regular_frames(info))), self.max_frames, info.num_frames)
        drawn = self.min_frames + _mix(key) % (self.max_frames - self.min_frames + 1)
        return min(drawn, info.num_frames)

    def choose(self, info: VideoInfo, num_frames: int, seed: int | None = None) -> list[int]:
        """The frames that are taken, each once and in order; without a seed nothing is random."""
        count = min(num_frames, info.num_frames)
        if self._rate:
            regular = self._regular_frames(info)
            if len(regular) == count:
                return regular
        if self.strategy == "rand" and seed is not None:
            return random_frames(count, info.num_frames, seed)
        return middle_frames(count, info.num_frames)

    @property
    def _rate(self) -> float:
        """Frames per second of an `fps` strategy, else 0."""
        found = re.fullmatch(r"fps([0-9]+(?:\.[0-9]+)?|\.[0-9]+)", self.strategy)
        return float(found.group(1)) if found else 0.0

    def _regular_frames(self, info: VideoInfo) -> list[int]:
        # Where frames are as rare as they are asked for, the published rule rounds to some of them twice.
        if self._rate >= info.fps:
            return list(range(info.num_frames))
        return regular_frames(self._rate, info.num_frames, info.fps)


def middle_frames(num_frames: int, length: int, *, fix_start: int | None = None) -> list[int]:
    """The middle of each of `num_frames` equal parts of a video; short videos repeat their last frame.

    Args:
        num_frames: how many.
        length: how many the video has.
        fix_start: take the frame this far behind the beginning of each part instead of the middle one.
    """
    parts = _cut(min(num_frames, length), length)
    if not parts:
        return []
    frames = [(start + stop - 1) // 2 if fix_start is None else start + fix_start for start, stop in parts]
    return frames + [frames[-1]] * (num_frames - len(parts))


def random_frames(num_frames: int, length: int, seed: int) -> list[int]:
    """One frame of each of `num_frames` equal parts of a video, drawn by the seed.

    As published, the last frame of a part is drawn only where it is the only one.
    """
    parts = _cut(min(num_frames, length), length)
    base = _mix(seed)
    return [start + _mix(base + k) % max(1, stop - 1 - start) for k, (start, stop) in enumerate(parts, 1)]


def regular_frames(rate: float, length: int, fps: float, max_frames: int | None = None) -> list[int]:
    """The frames nearest to the middle of every 1/`rate` seconds; `max_frames` keeps the first ones, as published."""
    step = 1 / rate
    # numpy's floats and its rounding of halves to even numbers decide between neighbours.
    seconds = np.arange(step / 2, length / fps + step / 2, step)
    frames = [frame for frame in np.around(seconds * fps).astype(int).tolist() if frame < length]
    return frames[:max_frames]


def _cut(count: int, length: int) -> list[tuple[int, int]]:
    """First frame, and the one behind the last, of equal parts."""
    if count < 1:
        return []
    # As numpy.linspace rounds: the published code cuts its evenly spaced floats to whole numbers.
    step = length / count
    return list(pairwise([*(int(k * step) for k in range(count)), length]))


def _mix(value: int) -> int:
    """A number of 64 well mixed bits (splitmix64), the same on every machine and in every version."""
    value = (value + 0x9E3779B97F4A7C15) & _WORD
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _WORD
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _WORD
    return value ^ (value >> 31)
