"""Reading original annotations entry by entry, with errors that name file, entry, rule and remedy."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from internvl.errors import InputError

_NUM_ANSWERS = 10
_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Entry:
    """An object of an annotation file.

    Attributes:
        where: file and entry, for messages.
        values: by key.
    """

    where: str
    values: dict[str, Any]

    def text(self, key: str) -> str:
        """The text of a key."""
        value = self.values.get(key)
        if not isinstance(value, str):
            raise self.mistake(key, "a text")
        return value

    def word(self, key: str) -> str | int | float:
        """The text or number of a key."""
        value = self.values.get(key)
        if not isinstance(value, str | int | float) or isinstance(value, bool):
            raise self.mistake(key, "a text or a number")
        return value

    def number(self, key: str) -> int:
        """The whole number of a key."""
        value = self.values.get(key)
        if not isinstance(value, int) or isinstance(value, bool):
            raise self.mistake(key, "a whole number")
        return value

    def texts(self, key: str) -> list[str]:
        """The texts of a key."""
        value = self.values.get(key)
        if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
            raise self.mistake(key, "a list of texts")
        return value

    def pick(self, key: str, number: int) -> str:
        """One of the texts of a key, counted from 0."""
        texts = self.texts(key)
        if not 0 <= number < len(texts):
            raise InputError(
                f"{self.where}: expected a place in `{key}` from 0 to {len(texts) - 1}, got {number}; "
                "get the file again"
            )
        return texts[number]

    def entries(self, key: str) -> list[Entry]:
        """The objects of a key."""
        value = self.values.get(key)
        if not isinstance(value, list):
            raise self.mistake(key, "a list of objects")
        return [_check(f"{self.where}, `{key}` {number}", row) for number, row in enumerate(value, 1)]

    def mistake(self, key: str, rule: str) -> InputError:
        """An error about the value of a key."""
        got = f"{self.values[key]!r:.{_SHOWN}}" if key in self.values else f"no `{key}`"
        return InputError(f"{self.where}: expected {rule} as `{key}`, got {got}; get the file again")


def read_content(path: Path) -> Any:
    """A whole JSON file.

    Raises:
        InputError: it is empty, cut off, of another encoding, or no JSON.
    """
    content = path.read_bytes()
    if not content.strip():
        raise InputError(f"{path}: expected JSON, got an empty file; get the file again")
    try:
        return json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: expected JSON in UTF-8, got {error}; get the file again") from None


def read_list(path: Path, key: str = "") -> Iterator[Entry]:
    """The objects of a JSON file that is a list, or of a list inside of an object.

    Args:
        path: the file.
        key: of the list; the file is a list itself where empty.
    """
    content = read_content(path)
    rows = content.get(key) if key and isinstance(content, dict) else content
    if not isinstance(rows, list):
        rule = f"an object with the list `{key}`" if key else "a list"
        raise InputError(f"{path}: expected {rule}, got another layout; get the file again")
    return (_check(f"{path}: {key or 'entry'} {number}", row) for number, row in enumerate(rows, 1))


def read_table(path: Path) -> dict[str, Entry]:
    """The objects of a JSON file that has them by id."""
    content = read_content(path)
    if not isinstance(content, dict):
        raise InputError(f"{path}: expected an object with entries by id, got another layout; get the file again")
    return {name: _check(f"{path}: entry {name!r}", row) for name, row in content.items()}


def index_entries(entries: Iterable[Entry], key: str) -> dict[Any, Entry]:
    """Entries by the value of a key, which each of them has for itself.

    Raises:
        InputError: the key is missing, or two have the same value.
    """
    found: dict[Any, Entry] = {}
    for entry in entries:
        value = entry.values.get(key)
        if not isinstance(value, int | str):
            raise entry.mistake(key, "a whole number or a text")
        if found.setdefault(value, entry) is not entry:
            raise InputError(f"{entry.where}: expected `{key}` once, got {value!r} again; get the file again")
    return found


def find_answer(entry: Entry, answers: list[str]) -> str:
    """The answer that most people gave; of several ones, the one that was given first.

    Raises:
        InputError: there are not ten.
    """
    if len(answers) != _NUM_ANSWERS:
        raise InputError(f"{entry.where}: expected ten answers, got {len(answers)}; get the file again")
    return Counter(answers).most_common(1)[0][0]


def _check(where: str, row: Any) -> Entry:
    if not isinstance(row, dict):
        raise InputError(f"{where}: expected an object, got {row!r:.{_SHOWN}}; get the file again")
    return Entry(where, row)
