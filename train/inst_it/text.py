"""Texts of annotations: brought to one notation, and refused with a reason where nothing should be learned from them.

An instance is written `[3]`, several are `[3] [4]`; a moment of a video is `<2>`, an interval `<2>-<5>`.
"""

from __future__ import annotations

import re
from collections.abc import Set
from dataclasses import dataclass
from typing import Any

from internvl.tokens import IMAGE_SLOT, SPECIAL_TOKENS, VIDEO_SLOT

EMPTY = "empty text"
NO_TEXT = "no text"
NOT_UNICODE = "half a character"
RESERVED = "reserved word"
UNMARKED = "id that is not marked"
BEYOND = "timestamp beyond the frames"
REMOVED = "timestamp of a frame that is left out"
BAD_KEY = "key that names no instance"
TWICE = "instance twice"
FIRST = "change of the first frame"
PICTURE = "picture that cannot be read"
NOT_CHOSEN = "frame not chosen"
OVER = "over max_turns"

_SPACES = re.compile(r"[ \t\u00a0]{2,}")
_IDS = re.compile(r"\[([0-9]{1,9}(?:\s*,\s*[0-9]{1,9})*)\]")
_PLAIN_IDS = re.compile(r"\[(?:0|[1-9][0-9]{0,8})\]")
_TIMES = re.compile(r"<([0-9]{1,9})>")
_RESERVED = re.compile("|".join(map(re.escape, (IMAGE_SLOT, VIDEO_SLOT, *SPECIAL_TOKENS))) + r"|<\|[^|<>]{1,40}\|>")
_HALVES = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Text:
    """A text that can be learned from, with the instances and the moments that it names."""

    value: str
    ids: frozenset[int]
    times: frozenset[int]


@dataclass(frozen=True, slots=True)
class Problem:
    """Why something is left out: the reason that it is counted under, and what was found."""

    reason: str
    found: str = ""


_NONE: frozenset[int] = frozenset()


def normalize(text: str) -> str:
    """The same text with `<1>` for `<0>`, `[3]` for `[03]`, `[1] [2]` for `[1, 2]` and single spaces."""
    if "[" in text:
        text = _IDS.sub(_write_ids, text)
    text = text.replace("<0>", "<1>")
    if "  " in text or "\t" in text or "\u00a0" in text:
        text = _SPACES.sub(" ", text)
    return text.strip()


def write_ids(ids: tuple[int, ...]) -> str:
    """How instances are named in a text."""
    return " ".join(f"[{number}]" for number in ids)


def read_key(key: str) -> tuple[int, ...] | None:
    """The instances that a key of an annotation is about, such as `1` or `1,2`; None where it is no such key."""
    parts = [part.strip() for part in key.split(",")]
    if not all(part.isascii() and part.isdigit() and len(part) < 10 for part in parts):
        return None
    return tuple(dict.fromkeys(map(int, parts)))


def read_text(value: Any) -> Text | Problem:
    """A text of an annotation in one notation, or why it cannot be used."""
    if value is None:
        return Problem(EMPTY)
    if not isinstance(value, str):
        return Problem(NO_TEXT, f"{type(value).__name__} {str(value)[:40]}")
    text = normalize(value)
    if not text:
        return Problem(EMPTY)
    if not text.isascii() and (half := _HALVES.search(text)):
        return Problem(NOT_UNICODE, ascii(half[0]))
    ids = times = _NONE
    if "<" in text:
        if reserved := _RESERVED.search(text):
            return Problem(RESERVED, reserved[0])
        times = frozenset(map(int, _TIMES.findall(text)))
    if "[" in text:
        ids = frozenset(int(found[1:-1]) for found in _PLAIN_IDS.findall(text))
    return Text(text, ids, times)


def find_problem(text: Text, marks: Set[int] | None, num_frames: int) -> Problem | None:
    """Why a text does not fit to its pictures.

    Args:
        marks: the instances that are marked; None where nothing is known of them.
        num_frames: the last moment that there is.
    """
    if marks is not None and not text.ids <= marks:
        return Problem(UNMARKED, write_ids(tuple(sorted(text.ids - marks))))
    if text.times and (max(text.times) > num_frames or min(text.times) < 1):
        return Problem(BEYOND, f"<{max(text.times)}> of {num_frames}")
    return None


def _write_ids(found: re.Match[str]) -> str:
    return write_ids(tuple(map(int, found[1].split(","))))
