"""Submission files: rows are checked against the layout that a server takes before anything is written."""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from internvl.errors import InputError

NAME = "submission.json"


@dataclass(frozen=True, slots=True)
class Layout:
    """What a file holds: a list of objects.

    Attributes:
        keys: the keys of every object, all of them and no others, with the types of their values; `object` is any.
        key: the one that names the question; empty where none does.
    """

    keys: Mapping[str, type]
    key: str = ""


def write_submission(
    folder: Path, rows: Sequence[Mapping[str, Any]], layout: Layout, wanted: Iterable[Hashable] | None = None
) -> None:
    """Check rows and write `submission.json`, whole or not at all.

    Args:
        folder: where it goes.
        rows: the content.
        layout: what the server takes.
        wanted: the ids that must be there, each once and no others; None for no such rule.

    Raises:
        InputError: the rows are not what the server takes; nothing is written.
    """
    path = folder / NAME
    check_rows(rows, layout, wanted, str(path))
    partial = folder / f".{NAME}.partial"
    partial.write_text(json.dumps(rows, ensure_ascii=False), encoding="utf-8")
    partial.replace(path)


def check_rows(
    rows: Sequence[Mapping[str, Any]], layout: Layout, wanted: Iterable[Hashable] | None = None, name: str = NAME
) -> None:
    """Refuse rows that the server would refuse, or score as something else."""
    for number, row in enumerate(rows, 1):
        if row.keys() != layout.keys.keys():
            raise InputError(
                f"{name}: expected the keys {', '.join(layout.keys)} in row {number}, got {', '.join(row) or 'none'}; "
                "get the data again"
            )
        for key, kind in layout.keys.items():
            if not isinstance(row[key], kind) or (kind is int and isinstance(row[key], bool)):
                raise InputError(
                    f"{name}: expected {kind.__name__} as {key} in row {number}, got {row[key]!r}; get the data again"
                )
    if not layout.key:
        return
    seen: set[Hashable] = set()
    for row in rows:
        if row[layout.key] in seen:
            raise InputError(
                f"{name}: expected each {layout.key} once, got {row[layout.key]!r} again; get the data again"
            )
        seen.add(row[layout.key])
    if wanted is not None and (wrong := sorted(map(repr, seen ^ set(wanted)))):
        raise InputError(
            f"{name}: expected the {layout.key}s of the whole set, got {len(wrong)} missing or unknown "
            f"({', '.join(wrong[:3])}); predict all of it, or get the data again"
        )
