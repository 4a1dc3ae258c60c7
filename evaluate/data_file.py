"""What lies where a data file should, and its text: no folder, no web page, and not the line ends of another system."""

from __future__ import annotations

from pathlib import Path

from internvl.errors import InputError, MissingError

_MARKS = (
    (b"version https://git-lfs", "a pointer of git-lfs"),
    (b"<!doctype html", "a web page"),
    (b"<html", "a web page"),
)
_START = 64


def name_stand_in(start: bytes) -> str:
    """What stands for data that was not fetched, from its first bytes; nothing for data.

    Example:
        >>> name_stand_in(b"<!DOCTYPE html><html>"), name_stand_in(b"{}")
        ('a web page', '')
    """
    start = start[:_START].lstrip().lower()
    return next((kind for mark, kind in _MARKS if start.startswith(mark)), "")


def find_problem(path: Path, remedy: str, what: str = "file", owner: str = "") -> InputError | None:
    """What is wrong with a file as a whole, before anything of it is read.

    Args:
        path: of the file.
        remedy: where it comes from.
        what, owner: what it is, and of what, for the message.
    """
    told = f"expected the {what} {path}{f' of {owner}' if owner else ''}"
    if path.is_dir():
        return InputError(f"{told}, got a folder; {remedy}")
    if not path.is_file():
        return MissingError(f"{told}, which does not exist; {remedy}")
    try:
        with path.open("rb") as stream:
            start = stream.read(_START)
    except OSError as error:
        return InputError(f"{told}, got {error.strerror}; give yourself the rights to read it")
    kind = "an empty file" if what == "file" and not start.strip() else name_stand_in(start)
    return InputError(f"expected data in {path}, got {kind}; get the file again, {remedy}") if kind else None


def read_text(path: Path) -> str:
    """A text in UTF-8 with the line ends of Unix, whatever a tool on Windows did to all of them.

    Raises:
        InputError: another encoding.
    """
    content = path.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InputError(f"{path}:{line}: expected text in UTF-8, got {error}; get the file again") from None
    # Where the first line ends as on Unix, others inside of quotes are meant.
    return text.replace("\r\n", "\n") if text.partition("\n")[0].endswith("\r") else text
