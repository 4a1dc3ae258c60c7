"""Videos: how many frames one has, and those that are taken, from a folder of frames or from a video file."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from internvl.conversation import Picture, Video
from internvl.errors import InputError, MissingError
from internvl.frames import FrameSampling, VideoInfo
from internvl.gif import probe_gif, read_gif
from internvl.movie import probe_movie, read_movie

_DEFAULT = FrameSampling()
_PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")


def order_frames(names: Iterable[str]) -> list[str]:
    """File names by the number behind their last underscore; names without one come first."""

    def number(name: str) -> int:
        found = re.search(r"_(\d+)\.jpg$", name)
        return int(found.group(1)) if found else -1

    return sorted(names, key=number)


def probe_video(video: Video) -> VideoInfo:
    """How many frames a video or its clip has, and how many a second, without decoding a video file.

    Raises: as `read_video`.
    """
    if video.path.is_dir():
        return VideoInfo(len(_list_frames(video)), 1.0)
    return probe_gif(video.path, video.clip) if _is_gif(video) else probe_movie(video.path, video.clip)


def read_video(
    video: Video, num_frames: int | None = None, *, sampling: FrameSampling = _DEFAULT, seed: int | None = None
) -> list[Picture]:
    """The frames that are taken of a video: files of a folder, or decoded pictures.

    Args:
        video: a folder of frames, or a video file.
        num_frames: how many; None for what `sampling` gives. A shorter video gives each of its frames once.
        sampling: which.
        seed: decides for the strategy "rand"; without one it takes the middle frames.

    Raises:
        FileNotFoundError: there is no such file or folder.
        ValueError: there are no frames in it, or it cannot be read.
    """

    def choose(info: VideoInfo) -> list[int]:
        return sampling.choose(info, sampling.count(info, key=0) if num_frames is None else num_frames, seed)

    if video.path.is_dir():
        paths = _list_frames(video)
        return [paths[number] for number in choose(VideoInfo(len(paths), 1.0))]
    return [*(read_gif if _is_gif(video) else read_movie)(video.path, video.clip, choose)]


def _is_gif(video: Video) -> bool:
    """Whether this file is for Pillow, which everybody has, instead of for PyAV."""
    if not video.path.is_file():
        expected = "video file" if video.path.suffix else "folder of frames"
        raise MissingError(
            f"video: expected a {expected}, got {video.path}, which does not exist; check the root folder"
        )
    return video.path.suffix.lower() == ".gif"


def _list_frames(video: Video) -> list[Path]:
    """The frames of a folder in their order."""
    if video.clip is not None:
        raise InputError(
            f"video: expected no `clip` for a folder of frames, got {video.clip}; folders have no time, remove it"
        )
    found = [path.name for path in video.path.iterdir() if path.suffix.lower() in _PICTURES]
    if not found:
        raise InputError(f"video: expected pictures in {video.path}, got none; extract the frames into it")
    return [video.path / name for name in order_frames(sorted(found, key=_natural))]


def _natural(name: str) -> tuple[tuple[int, int | str], ...]:
    """Sort key under which frame 2 comes before frame 10."""
    return tuple((0, int(part)) if part.isdecimal() else (1, part) for part in re.split(r"(\d+)", name))
