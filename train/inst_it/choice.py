"""Choices that depend on names alone: the same in any order, with any number of processes, on any machine."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import TypeVar

Item = TypeVar("Item")
_BYTES = 8
_ALL = 1 << (8 * _BYTES)


def draw(*names: object) -> int:
    """A number below 2^64, decided by the names."""
    text = "\x1f".join(map(str, names))
    return int.from_bytes(blake2b(text.encode(errors="surrogatepass"), digest_size=_BYTES).digest(), "big")


def choose(items: Sequence[Item], *names: object) -> Item:
    """One of the items."""
    return items[draw(*names) % len(items)]


def happens(share: float, *names: object) -> bool:
    """Whether something is done that is done in this share of all cases."""
    return share >= 1 or (share > 0 and draw(*names) < share * _ALL)


def shuffle(items: Iterable[Item], *names: object) -> list[Item]:
    """The items in another order."""
    numbered = [(draw(*names, place), place, item) for place, item in enumerate(items)]
    return [item for _, _, item in sorted(numbered, key=lambda entry: entry[:2])]


def spread_evenly(total: int, most: int) -> list[int]:
    """At most so many of `range(total)`, evenly spread, the first and the last among them."""
    if total <= most:
        return list(range(total))
    return [round(place * (total - 1) / (most - 1)) for place in range(most)]
