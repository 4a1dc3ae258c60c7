"""The files of a conversion: all of them whole at its end, or those of the one before as they were."""

from __future__ import annotations

import fcntl
import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from internvl.errors import InputError

REJECTS = "rejects"


class RowFiles:
    """Rows by kind and the list of rejects, written under other names until all is done.

    Args:
        folder: that they lie in.
        generators: the kinds of rows.
    """

    def __init__(self, folder: Path, generators: Iterable[str]) -> None:
        self.folder = folder
        self.names = (*generators, REJECTS)
        self.hashes = {name: hashlib.sha256() for name in self.names}
        self.num_bytes = dict.fromkeys(self.names, 0)
        self.files: dict[str, BinaryIO] = {}
        self.lock: BinaryIO | None = None
        self.first_reject = ""

    def __enter__(self) -> RowFiles:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.lock = (self.folder / ".lock").open("wb")
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(
                f"--output: expected a folder for this conversion alone, got {self.folder}, in which another one is "
                "writing; wait for it, or choose another folder"
            ) from None
        except OSError as error:
            raise InputError(
                f"--output: expected a folder that can be written to, got {self.folder} ({error.strerror}); "
                "choose another one"
            ) from None
        self.files = {name: self._partial(name).open("wb") for name in self.names}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for name, file in self.files.items():
            file.close()
            self._partial(name).unlink(missing_ok=True)
        assert self.lock is not None
        (self.folder / ".lock").unlink(missing_ok=True)
        self.lock.close()

    def path(self, name: str) -> Path:
        """Where a file lies in the end."""
        return self.folder / f"{name}.jsonl"

    def write(self, name: str, lines: Iterable[str]) -> None:
        """Add lines to a file."""
        content = "".join(lines).encode()
        self.files[name].write(content)
        self.hashes[name].update(content)
        self.num_bytes[name] += len(content)

    def reject(self, lines: Sequence[str]) -> None:
        """Add lines to the list of rejects."""
        self.first_reject = self.first_reject or next(iter(lines), "").strip()
        self.write(REJECTS, lines)

    def keep(self) -> None:
        """Everything is written: give the files their names."""
        for file in self.files.values():
            file.close()
        for name in self.names:
            self._partial(name).replace(self.path(name))

    def _partial(self, name: str) -> Path:
        return self.folder / f".{name}.jsonl.partial"


def write_whole(path: Path, content: str) -> None:
    """A file that is there whole or not at all."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_text(content, encoding="utf-8")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
