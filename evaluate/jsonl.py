"""Reading JSON and JSONL data files, with errors that name file, line and rule; and quick JSON of texts."""

from __future__ import annotations

import gc
import json
from collections.abc import Container, Iterator
from contextlib import contextmanager
from json.encoder import encode_basestring
from pathlib import Path
from typing import Any

from internvl.errors import InputError

quote = encode_basestring
"""A text as `json.dumps(text, ensure_ascii=False)` writes it, without making an encoder for each."""
_read_value = json.JSONDecoder().raw_decode


@contextmanager
def keep_all() -> Iterator[None]:
    """Do not look for garbage while much is read that stays: searching it over and over doubles the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def parse(line: bytes) -> Any:
    """What `json.loads` gives for a line, in half of the time for one that begins with its value and is UTF-8."""
    try:
        text = line.decode()
        value, end = _read_value(text)
    except ValueError:
        return json.loads(line)
    return value if text[end:] in ("", "\n", "\r\n") else json.loads(line)


def read_rows(path: Path, *keys: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """`file:line` and the object of every line; each must have the keys."""
    wanted, name = frozenset(keys), str(path)
    with path.open("rb") as file:  # bytes, so that only a line feed ends a line and bad ones have a number
        for number, line in enumerate(file, 1):
            if line.isspace():
                continue
            where = f"{name}:{number}"
            try:
                row = parse(line)
            except (ValueError, RecursionError) as error:
                raise InputError(f"{where}: expected JSON, got {error}; get the file again") from None
            if wanted and not (isinstance(row, dict) and wanted <= row.keys()):
                missing = [key for key in keys if not isinstance(row, dict) or key not in row]
                raise InputError(
                    f"{where}: expected the keys {', '.join(keys)}, got no {missing[0]}; get the file again"
                )
            yield where, row


def read_some(path: Path, places: Container[int]) -> dict[int, Any]:
    """The values at some places of a file that was read before, from 0; the others are not parsed again."""
    with path.open("rb") as file:
        lines = (line for line in file if not line.isspace())
        return {place: parse(line) for place, line in enumerate(lines) if place in places}


def read_json(path: Path) -> Any:
    """A whole JSON file."""
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
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
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: expected JSON, got {error}; {remedy}") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: expected an object, got {str(content)[:80]}; {remedy}")
    return content
