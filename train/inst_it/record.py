"""One record of the annotation files in the published layout, checked key by key."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from internvl.errors import InputError
from train.inst_it.text import read_key

IMAGE, VIDEO = "image", "video"
ID_KEYS = {IMAGE: "image_id", VIDEO: "video_id"}
_REMEDY = "correct the record, or get the file again"
_NUMBERS = re.compile(r"[0-9]+")
Marks = frozenset[int]


@dataclass(frozen=True, slots=True)
class Shot:
    """One marked picture with what is said about it.

    Attributes:
        name: of the picture among all, such as `image-12` or `video-3-frame-2`.
        number: of the frame in its video; 1 for an image.
        num_frames: of the video; 1 for an image.
        picture: path of the file.
        instances: texts by key.
        caption: text about the whole.
        change: what is new since the frame before; None for an image.
        marks: the instances that are marked; None where nothing is known of them.
        kind: of the record.
    """

    name: str
    number: int
    num_frames: int
    picture: str
    instances: Mapping[str, Any]
    caption: Any
    change: Any
    marks: Marks | None
    kind: str


@dataclass(frozen=True, slots=True)
class Clip:
    """A video: its annotated frames by their numbers, its caption, and its questions with answers.

    Attributes:
        name: of the video, such as `video-3`.
        marks: the instances that are marked in any frame; None where nothing is known of them.
        num_frames: the number of the last frame.
    """

    name: str
    frames: tuple[Shot, ...]
    caption: Any
    pairs: tuple[Any, ...]
    marks: Marks | None
    num_frames: int


def name_record(value: Any, kind: str, where: str) -> str:
    """The name of a record among all.

    Raises:
        InputError: it has none.
    """
    if not isinstance(value, Mapping):
        raise InputError(f"{where}: expected an object, got {type(value).__name__}; {_REMEDY}")
    key = ID_KEYS[kind]
    found = _need(value, key, where)
    if isinstance(found, bool) or not isinstance(found, int | str) or found == "":
        raise InputError(f"{where}: {key}: expected a whole number, got {str(found)[:40]!r}; {_REMEDY}")
    _check_unicode(str(found), f"{where}: {key}")
    return f"{kind}-{found}"


def drop_masks(value: Any) -> Any:
    """The record with the names of its masks in place of the masks, which are most of its bytes."""
    found = value.get("segmentations") if isinstance(value, Mapping) else None
    if not isinstance(found, Mapping):
        return value
    slim = {name: dict.fromkeys(part) if isinstance(part, Mapping) else part for name, part in found.items()}
    return {**value, "segmentations": slim}


def read_image(value: Mapping[str, Any], where: str, variant: str | None = None) -> Shot:
    """An image.

    Raises:
        InputError: a key is missing, or is of another type than published.
    """
    name = name_record(value, IMAGE, where)
    instances = _need_object(value, "instance_level_caption", where)
    marked = _need_object(value, "segmentations", where) if "segmentations" in value else None
    return Shot(
        name=name,
        number=1,
        num_frames=1,
        picture=_read_path(_need(value, "image_path", where), f"{where}: image_path", variant),
        instances=instances,
        caption=_need(value, "image_level_caption", where),
        change=None,
        marks=_read_marks(instances, marked, f"{where}: segmentations"),
        kind=IMAGE,
    )


def read_video(value: Mapping[str, Any], where: str, variant: str | None = None) -> Clip:
    """A video.

    Raises:
        InputError: a key is missing, or is of another type than published, or the order of the frames is not certain.
    """
    name = name_record(value, VIDEO, where)
    folder = _read_path(_need(value, "video_path", where), f"{where}: video_path", variant)
    marked = _need_object(value, "segmentations", where) if "segmentations" in value else None
    told = _need_list(value, "frame_level_caption", where)
    if not told:
        raise InputError(f"{where}: frame_level_caption: expected at least one frame, got none; {_REMEDY}")
    frames = sorted(
        (_read_frame(frame, f"{where}: frame {place}") for place, frame in enumerate(told, 1)),
        key=lambda frame: frame[0],
    )
    _check_order([(number, file) for number, file, _ in frames], where)
    last = frames[-1][0]
    shots = [
        Shot(
            name=f"{name}-frame-{number}",
            number=number,
            num_frames=last,
            picture=f"{folder}/{file}",
            instances=frame["instance_level"],
            caption=frame["image_level"],
            change=frame.get("temporal_change"),
            marks=_read_frame_marks(frame["instance_level"], marked, file, f"{where}: segmentations"),
            kind=VIDEO,
        )
        for number, file, frame in frames
    ]
    marks = unite(shot.marks for shot in shots)
    if marks is not None:
        # Where some frames list instances, one without a list has none.
        shots = [shot if shot.marks is not None else replace(shot, marks=frozenset()) for shot in shots]
    return Clip(
        name=name,
        frames=tuple(shots),
        caption=_need(value, "video_level_caption", where),
        pairs=tuple(_need_list(value, "question_answer_pairs", where)),
        marks=marks,
        num_frames=last,
    )


def unite(parts: Iterable[Marks | None]) -> Marks | None:
    """The instances that any picture has; None where nothing is known of any."""
    known = [part for part in parts if part is not None]
    return frozenset().union(*known) if known else None


def _read_frame(frame: Any, where: str) -> tuple[int, str, Mapping[str, Any]]:
    if not isinstance(frame, Mapping):
        raise InputError(f"{where}: expected an object, got {type(frame).__name__}; {_REMEDY}")
    number, file = _need(frame, "timestamp", where), _need(frame, "frame_name", where)
    if isinstance(number, bool) or not isinstance(number, int) or number < 1:
        raise InputError(f"{where}: timestamp: expected a whole number from 1 on, got {str(number)[:40]!r}; {_REMEDY}")
    if not isinstance(file, str) or not file or "/" in file or file.startswith("."):
        raise InputError(f"{where}: frame_name: expected the name of a file, got {str(file)[:60]!r}; {_REMEDY}")
    _check_unicode(file, f"{where}: frame_name")
    _need_object(frame, "instance_level", where)
    _need(frame, "image_level", where)
    return number, file, frame


def _check_order(frames: list[tuple[int, str]], where: str) -> None:
    """One frame per timestamp, and the numbers in the names of the files rise as the timestamps do."""
    for (number, file), (later, next_file) in pairwise(frames):
        if number == later:
            raise InputError(f"{where}: timestamp: expected each once, got {number} twice; {_REMEDY}")
        stems = (file.rpartition(".")[0] or file, next_file.rpartition(".")[0] or next_file)
        found = [_NUMBERS.findall(stem) for stem in stems]
        if all(found) and int(found[0][-1]) >= int(found[1][-1]):
            raise InputError(
                f"{where}: frame_name: expected numbers that rise with the timestamps, got {file} at {number} and "
                f"{next_file} at {later}; {_REMEDY}"
            )


def _read_marks(instances: Mapping[str, Any], marked: Mapping[str, Any] | None, where: str) -> Marks | None:
    """What masks say, which is what was drawn; without masks, what has a text."""
    if marked is None:
        return frozenset(number for key in instances for number in read_key(key) or ()) or None
    found = {key: read_key(key) for key in marked}
    for key, ids in found.items():
        if ids is None:
            raise InputError(f"{where}: expected ids of instances, got the key {key[:40]!r}; {_REMEDY}")
    return frozenset(number for ids in found.values() for number in ids or ())


def _read_frame_marks(
    instances: Mapping[str, Any], marked: Mapping[str, Any] | None, file: str, where: str
) -> Marks | None:
    if marked is None:
        return _read_marks(instances, None, where)
    masks = marked.get(file, {})
    if not isinstance(masks, Mapping):
        raise InputError(f"{where}: {file}: expected an object, got {type(masks).__name__}; {_REMEDY}")
    return _read_marks(instances, masks, f"{where}: {file}")


def _read_path(found: Any, where: str, variant: str | None) -> str:
    """A path below the root folder; of another variant of the pictures where one is asked for."""
    parts = [part for part in found.split("/") if part not in ("", ".")] if isinstance(found, str) else []
    if not parts or ".." in parts or found.startswith("/"):
        raise InputError(f"{where}: expected a path below the root folder, got {str(found)[:60]!r}; {_REMEDY}")
    _check_unicode(found, where)
    if variant is not None:
        parts[0] = f"{parts[0].rpartition('_')[0] or parts[0]}_{variant}"
    return "/".join(parts)


def _check_unicode(text: str, where: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InputError(f"{where}: expected Unicode, got {ascii(text)[:60]}; {_REMEDY}") from None


def _need(value: Mapping[str, Any], key: str, where: str) -> Any:
    if key not in value:
        raise InputError(f"{where}: expected the key {key}, got {', '.join(map(str, value))[:80] or 'none'}; {_REMEDY}")
    return value[key]


def _need_object(value: Mapping[str, Any], key: str, where: str) -> Mapping[str, Any]:
    found = _need(value, key, where)
    if not isinstance(found, Mapping):
        raise InputError(f"{where}: {key}: expected an object, got {type(found).__name__}; {_REMEDY}")
    return found


def _need_list(value: Mapping[str, Any], key: str, where: str) -> list[Any]:
    found = _need(value, key, where)
    if not isinstance(found, list):
        raise InputError(f"{where}: {key}: expected a list, got {type(found).__name__}; {_REMEDY}")
    return found
