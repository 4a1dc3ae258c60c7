"""Masks as lengths of runs in the format of COCO: down the columns, outside and inside in turn, outside first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from internvl.errors import InputError

_FIRST, _LAST = 48, 48 + 63  # the characters of six bits
_MORE, _SIGN, _BITS = 0x20, 0x10, 0x1F


def decode(rle: Mapping[str, Any]) -> NDArray[np.bool_]:
    """The mask, height by width, of `size` and `counts`; `counts` are numbers, or the text that COCO packs them into.

    Raises:
        InputError: something is missing, or the runs do not fill the picture.
    """
    height, width = _read_size(rle)
    counts = rle.get("counts")
    if isinstance(counts, str | bytes):
        runs = unpack(counts)
    elif isinstance(counts, Sequence) and all(isinstance(count, int) and abs(count) < 1 << 32 for count in counts):
        runs = np.array(counts, dtype=np.int64)
    else:
        raise InputError(
            f"mask: expected `counts` that are a text or whole numbers, got {_shorten(counts)}; get the mask again"
        )
    if (runs < 0).any() or int(runs.sum()) != height * width:
        raise InputError(
            f"mask: expected runs that fill {width}x{height} pixels, got {int(runs.sum())} pixels in {len(runs)} runs; "
            "get the mask again"
        )
    inside = np.arange(len(runs)) % 2 == 1
    return np.repeat(inside, runs).reshape(width, height).T


def unpack(text: str | bytes) -> NDArray[np.int64]:
    """The lengths in a packed text.

    A character holds five bits, the lowest first, and whether more follow; the last ones sign is extended. From the
    fourth length on they are differences to the length before the last.
    """
    try:
        codes = np.frombuffer(text.encode("ascii") if isinstance(text, str) else text, np.uint8).astype(np.int64)
    except UnicodeEncodeError:
        codes = np.array([0])
    if ((codes < _FIRST) | (codes > _LAST)).any():
        raise InputError(f"mask: expected `counts` as COCO packs them, got {_shorten(text)}; get the mask again")
    codes -= _FIRST
    is_last = codes & _MORE == 0
    if not len(codes) or not is_last[-1]:
        raise InputError(f"mask: expected whole `counts`, got {_shorten(text)} without its end; get the mask again")
    ends = np.flatnonzero(is_last)
    starts = np.concatenate(([0], ends[:-1] + 1))
    sizes = ends - starts + 1
    if sizes.max() > 7:  # more bits than any picture has pixels
        raise InputError(f"mask: expected `counts` as COCO packs them, got {_shorten(text)}; get the mask again")
    shifts = 5 * (np.arange(len(codes)) - np.repeat(starts, sizes))
    values = np.add.reduceat((codes & _BITS) << shifts, starts)
    values -= np.where(codes[ends] & _SIGN, np.int64(1) << (5 * sizes), 0)
    values[1::2] = np.cumsum(values[1::2])
    values[2::2] = np.cumsum(values[2::2])
    return values


def _read_size(rle: Mapping[str, Any]) -> tuple[int, int]:
    size = rle.get("size")
    if (
        isinstance(size, Sequence)
        and len(size) == 2
        and all(isinstance(side, int) and not isinstance(side, bool) and 0 < side < 1 << 16 for side in size)
    ):
        return size[0], size[1]
    raise InputError(f"mask: expected `size` as [height, width], got {_shorten(size)}; get the mask again")


def _shorten(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:40]}..."
