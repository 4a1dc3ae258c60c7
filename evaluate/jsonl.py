"""Reading JSON and JSONL data files, with errors that name file, line and rule."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from internvl.errors import InputError


def read_rows(path: Path, *keys: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """`file:line` and the object of every line; each must have the keys."""
    with path.open("rb") as file:  # bytes, so that only a line feed ends a line and bad ones have a number
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            where = f"{path}:{number}"
            try:
                row = json.loads(line)
            except ValueError as error:
                raise InputError(f"{where}: expected JSON, got {error}; get the file again") from None
            missing = [key for key in keys if not isinstance(row, dict) or key not in row]
            if missing:
                raise InputError(
                    f"{where}: expected the keys {', '.join(keys)}, got no {missing[0]}; get the file again"
                )
            yield where, row


def read_json(path: Path) -> Any:
    """A whole JSON file."""
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise InputError(f"{path}: expected JSON, got {error}; get the file again") from None


def is_id(value: object) -> bool:
    """Whether a value can name a question: a whole number, or a text that is not empty."""
    return isinstance(value, int | str) and not isinstance(value, bool) and value != ""


def read_object(path: Path, remedy: str) -> dict[str, Any]:
    """A JSON file of our own that holds an object.

    Raises:
        InputError: it was cut off, or edited.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path}: expected JSON, got {error}; {remedy}") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: expected an object, got {str(content)[:80]}; {remedy}")
    return content
