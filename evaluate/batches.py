"""Batches of prompts of like length, as large as the memory allows, from prompts that come one group after another."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from typing import Any, NamedTuple

from evaluate.fitting import Shown

_LONG = 4096
"""A window of prompts that are longer than this on average is closed before it is full: they take time and memory."""


class Item(NamedTuple):
    """A sample's id and its prepared prompt, or the error that there is instead; what is shown of it, if not all."""

    id: str
    prompt: Any
    error: str | None
    shown: Shown | None = None


class Batches:
    """An iterable of batches.

    The prompts of a window are put into order by their true length, which is known only once they are prepared.
    Prompts that share pictures stay next to each other.

    Args:
        groups: prepared prompts, those that share pictures together.
        rows: most prompts of a batch.
        window: prompts that are put into order together.
        measure: the length of a prompt.
        fits: whether there is memory for so many rows of such a length.
        held: bytes of prepared prompts after which a window is closed before it is full; None for any number.
    """

    def __init__(
        self,
        groups: Iterable[list[Item]],
        *,
        rows: int,
        window: int,
        measure: Callable[[Any], int],
        fits: Callable[[int, int], bool],
        held: int | None = None,
    ) -> None:
        self.groups = groups
        self.rows = rows
        self.window = window
        self.measure = measure
        self.fits = fits
        self.held = held

    def __iter__(self) -> Iterator[list[Item]]:
        failed: list[Item] = []
        waiting: list[list[tuple[int, Item]]] = []
        parts: dict[int, int] = {}
        for group in self.groups:
            failed += [item for item in group if item.error is not None]
            sized = [(self.measure(item.prompt), item) for item in group if item.error is None]
            if sized:
                waiting.append(sorted(sized, key=lambda pair: -pair[0]))
            for _, item in sized:
                parts.update(weigh_parts(item.prompt))
            lengths = [length for group in waiting for length, _ in group]
            is_full = len(lengths) + len(failed) >= self.window or sum(lengths) >= self.window * _LONG
            if is_full or (self.held is not None and sum(parts.values()) >= self.held):
                yield from self._cut(waiting, failed)
                waiting, failed, parts = [], [], {}
        yield from self._cut(waiting, failed)

    def _cut(self, groups: list[list[tuple[int, Item]]], failed: list[Item]) -> Iterator[list[Item]]:
        """The batches of one window, the largest first; errors, which need no work, come before."""
        if failed:
            yield failed
        ordered = sorted(groups, key=lambda group: -group[0][0])
        batch: list[Item] = []
        longest = 0
        for length, item in chain.from_iterable(ordered):
            if batch and (len(batch) == self.rows or not self.fits(len(batch) + 1, max(longest, length))):
                yield batch
                batch, longest = [], 0
            batch.append(item)
            longest = max(longest, length)
        if batch:
            yield batch


def weigh_parts(prompt: Any) -> Iterator[tuple[int, int]]:
    """The tensors and texts of a prepared prompt: number, by which a shared one is known, and bytes."""
    if hasattr(prompt, "nbytes"):
        yield id(prompt), prompt.nbytes
    elif isinstance(prompt, str | bytes):
        yield id(prompt), len(prompt)
    elif hasattr(prompt, "pictures"):
        yield from weigh_parts(prompt.pictures)
    elif isinstance(prompt, Mapping):
        yield from weigh_parts(list(prompt.values()))
    elif isinstance(prompt, list | tuple) and prompt and not isinstance(prompt[0], int):
        for part in prompt:
            yield from weigh_parts(part)
