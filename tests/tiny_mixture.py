"""Mixtures of files that are not there: lengths and broken rows are named, nothing is written or measured."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from train.index import RowError
from train.mixture import Limits, Mixture, Source

LIMITS = Limits(max_tokens=100, max_tiles=8, tokens_per_tile=10)


@dataclass
class Rows:
    """An annotation file with these lengths; -1 for a row that is broken."""

    tokens: list[int] = field(default_factory=list)
    tiles: list[int] = field(default_factory=list)
    sha256: str = "ab" * 32
    name: str = "rows"

    @property
    def path(self) -> Path:
        return Path(f"{self.name}.jsonl")

    @property
    def lines(self) -> np.ndarray:
        return 2 * np.arange(len(self)) + 1

    def __len__(self) -> int:
        return len(self.tokens)

    def errors(self) -> Iterator[RowError]:
        return (RowError(row, 2 * row + 1, f"broken {row}") for row, tokens in enumerate(self.tokens) if tokens < 0)


@dataclass
class Sizes:
    """The same as arrays."""

    tokens: np.ndarray
    tiles: np.ndarray


def rows(count: int, broken: Any = ()) -> Rows:
    """Usable rows of different lengths, and broken ones among them."""
    return Rows([-1 if row in set(broken) else 1 + row % 90 for row in range(count)], [0] * count)


def mix(*entries: tuple[Rows, dict[str, Any]], **options: Any) -> Mixture:
    """A mixture of files with further keys of their entries."""
    sources = [Source(**{"name": file.name, "root": Path(), "annotation": file.path, **keys}) for file, keys in entries]
    files: list[Any] = [file for file, _ in entries]
    lengths: list[Any] = [Sizes(np.array(file.tokens, np.int32), np.array(file.tiles, np.int32)) for file in files]
    return Mixture(sources, files, lengths, LIMITS, **options)
