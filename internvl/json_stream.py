"""A JSON file that is one long list, read entry by entry: files of masks are larger than the memory."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from io import TextIOWrapper
from json import JSONDecodeError
from pathlib import Path
from typing import Any, TextIO

from internvl.errors import InputError, MissingError

_CHUNK = 1 << 20
# Longer than any word, escape or exponent of JSON: a mistake nearer to the end may be one that was cut.
_WORD = 16
_SPACE = " \t\n\r"
_decode = json.JSONDecoder().raw_decode


def stream_objects(
    path: Path, progress: Callable[[int, int], None] | None = None, chunk: int = _CHUNK
) -> Iterator[tuple[str, Any]]:
    """The name ("file: entry 1") and the value of every entry of the list; one at a time is in memory.

    Args:
        progress: called after every entry with the bytes read and the bytes of the file.
        chunk: so many characters are read at a time, and more where an entry is longer.

    Raises:
        MissingError: there is no such file.
        InputError: the file is no list, or no JSON from some entry on; those before it were given.
    """
    if not path.is_file():
        raise MissingError(f"{path}: expected a file, got none; give one")
    size = path.stat().st_size
    with path.open("rb") as raw, TextIOWrapper(raw, encoding="utf-8-sig", newline="") as file:
        window = _Window(path, file, chunk)
        if window.peek() != "[":
            raise _refuse(f"{path}: expected a list", window)
        window.start += 1
        number = 0
        while window.peek() != "]" or number:
            number += 1
            where = f"{path}: entry {number}"
            yield where, window.take(where)
            if progress is not None:
                progress(min(raw.tell(), size), size)
            if window.peek() == "]":
                break
            if window.peek() != ",":
                raise _refuse(f"{where}: expected a comma or the end of the list behind it", window)
            window.start += 1
        window.start += 1
        if window.peek():
            raise _refuse(f"{path}: expected nothing behind the list", window)


def _refuse(problem: str, window: _Window) -> InputError:
    got = window.text[window.start : window.start + 20]
    return InputError(f"{problem}, got {repr(got) if got else 'its end'}; get the file again")


class _Window:
    """What was read of a file and not given yet."""

    def __init__(self, path: Path, file: TextIO, chunk: int) -> None:
        self.path = path
        self.file = file
        self.chunk = chunk
        self.text = ""
        self.start = 0
        self.is_end = False

    def peek(self) -> str:
        """The next character that is no space; nothing at the end."""
        while True:
            while self.start < len(self.text):
                if self.text[self.start] not in _SPACE:
                    return self.text[self.start]
                self.start += 1
            if self.is_end:
                return ""
            self._read()

    def take(self, where: str) -> Any:
        """The value that is next."""
        self.peek()
        while True:
            problem, end = "", 0
            try:
                value, end = _decode(self.text, self.start)
            except JSONDecodeError as error:
                problem, end = str(error.msg), error.pos
                # The place told is the beginning of the text, which has no end yet.
                end = len(self.text) if problem.startswith("Unterminated") else end
            except RecursionError as error:
                raise InputError(f"{where}: expected JSON, got {error}; get the file again") from None
            if self.is_end or end + _WORD < len(self.text):
                break
            self._read()
        if problem:
            raise InputError(f"{where}: expected JSON, got {problem}; get the file again")
        self.start = end
        return value

    def _read(self) -> None:
        rest = self.text[self.start :]
        # Twice as much each time: an entry is tried again from its beginning whenever more of it is there.
        try:
            more = self.file.read(max(self.chunk, len(rest)))
        except UnicodeDecodeError as error:
            raise InputError(f"{self.path}: expected UTF-8, got {error.reason}; get the file again") from None
        self.is_end = not more
        self.text, self.start = rest + more, 0
