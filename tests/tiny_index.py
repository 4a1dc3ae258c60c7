"""Annotation files and their indexes, for tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from internvl.tiler import ImageTiler
from tests.tiny import tiny_processor
from tests.tiny_run import make_row
from train.counter import Counter
from train.index import FileIndex

TILER = ImageTiler(image_size=56, dynamic=True, max_tiles=6, thumbnail=True)
COUNTER = Counter.of(tiny_processor())


def write_rows(folder: Path, rows: list[Any], name: str = "rows.jsonl") -> Path:
    """Write rows, or lines that are none."""
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    (folder / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return folder / name


def number_rows(count: int) -> list[dict[str, Any]]:
    """Text of different lengths."""
    return [make_row(f"What number? {k}" + " more" * (k % 7), str(k)) for k in range(count)]


def open_index(path: Path, counter: Counter = COUNTER, **options: Any) -> FileIndex:
    """Open the index of a file whose pictures lie next to it."""
    return FileIndex.open(path, path.parent, counter, **options)


def list_lengths(index: FileIndex, tiler: ImageTiler = TILER, **options: Any) -> list[list[int]]:
    """Tokens and tiles of all rows."""
    lengths = index.lengths(tiler, 4, **options)
    return [lengths.tokens.tolist(), lengths.tiles.tolist()]
