"""Records that stay out of training, such as those of a benchmark: a list of their ids or paths."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from internvl.errors import InputError, MissingError


class Exclusion:
    """Which records are left out, and which of those named were met.

    Args:
        names: `image-12` or `video-3`, an id alone for both kinds, or the path of an image or of a folder of frames.
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        self.names = frozenset(names)
        self.met: set[str] = set()

    @classmethod
    def read(cls, path: Path) -> Exclusion:
        """A file with one name per line.

        Raises:
            MissingError: there is no such file.
            InputError: it is no text, or empty.
        """
        if not path.is_file():
            raise MissingError(f"--exclude: expected a file with one id per line, got {path}; check the path")
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError as error:
            raise InputError(f"{path}: expected text in UTF-8, got {error.reason}; save it again") from None
        names = [_trim(line) for line in lines if line.strip()]
        if not names:
            raise InputError(f"{path}: expected one id per line, got an empty file; leave --exclude out")
        return cls(names)

    def has(self, name: str, path: str) -> bool:
        """Whether a record is left out, by its name or its path."""
        if not self.names:
            return False
        folder = _trim(path)
        found = self.names & {name, name.partition("-")[2], folder, folder.partition("/")[2]}
        self.met |= found
        return bool(found)

    def unmet(self) -> list[str]:
        """The names that no record had."""
        return sorted(self.names - self.met)


def _trim(path: str) -> str:
    return path.strip().removeprefix("./").rstrip("/")
