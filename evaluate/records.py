"""Predictions on disk: every rank appends to a part file of its own, and a kill loses at most the batch in flight."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path

from evaluate.fitting import Shown
from evaluate.jsonl import parse, quote
from evaluate.sample import Prediction
from internvl.errors import InputError

_NO_ERROR = b'"error": null}\n'
"""How a line ends that has a text."""


class PartWriter:
    """Appends finished predictions of one rank, and flushes after every batch."""

    def __init__(self, folder: Path, rank: int) -> None:
        self.path = folder / f"part-{rank}.jsonl"
        _cut_torn_line(self.path)
        # Without a buffer: what a full disk did not take is not tried again when the file is closed.
        self._file = self.path.open("ab", buffering=0)

    def write(self, predictions: Iterable[Prediction]) -> None:
        """Append one line per prediction.

        Raises:
            InputError: the disk is full, or gone.
        """
        lines = b"".join(_write_line(prediction) for prediction in predictions)
        try:
            while lines:
                lines = lines[self._file.write(lines) :]
        except OSError as error:
            raise InputError(
                f"{self.path}: expected room for answers, got {error.strerror}; make room, and the same command goes on"
            ) from None

    def close(self) -> None:
        """Make sure everything is on the disk."""
        with suppress(OSError):  # a device, or a file system that does not know how
            os.fsync(self._file.fileno())
        self._file.close()


class PartCounter:
    """Counts the answers in all part files of a folder, those of other processes too, and reads each line once.

    Attributes:
        answers: so many there were when they were last counted.
        errors: so many of them say why there is no text.
    """

    def __init__(self, folder: Path) -> None:
        self.answers = self.errors = 0
        self._folder = folder
        self._ends: dict[Path, int] = {}
        self.count()

    def count(self) -> None:
        """Count what was added."""
        for path in self._folder.glob("part-*.jsonl"):
            begin = self._ends.get(path, 0)
            with path.open("rb") as file:
                file.seek(begin)
                text = file.read()
            end = text.rfind(b"\n") + 1
            lines = text.count(b"\n")
            self.answers += lines
            self.errors += lines - text.count(_NO_ERROR)
            self._ends[path] = begin + end


@contextmanager
def claim_folder(folder: Path) -> Iterator[None]:
    """Let no other run write predictions into a folder; a process that ends, however it does, gives it back.

    Args:
        folder: of the run; what is locked is a file beside it, so that the folder can be deleted.

    Raises:
        InputError: another run is at work there.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f".{folder.name}.lock").open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(
                f"{folder}: expected no other run at work there, got one; wait for its end, or choose another --output"
            ) from None
        except OSError:
            pass  # some network file systems have no locks
        yield


def write_predictions(folder: Path, predictions: Iterable[Prediction]) -> None:
    """Write all answers of a finished run to one file, whichever process gave them and in whatever order."""
    partial = folder / ".predictions.jsonl.partial"
    with partial.open("wb") as file:
        file.writelines(_write_line(prediction) for prediction in predictions)
    partial.replace(folder / "predictions.jsonl")


def _write_line(prediction: Prediction) -> bytes:
    # An answer may hold half of a pair of code units, which no file can.
    error = "null" if prediction.error is None else quote(prediction.error)
    shown = f'"shown": {json.dumps(asdict(prediction.shown))}, ' if prediction.shown is not None else ""
    line = f'{{"id": {quote(prediction.id)}, "text": {quote(prediction.text)}, {shown}"error": {error}}}\n'
    return line.encode("utf-8", "replace")


def read_parts(folder: Path) -> dict[str, Prediction]:
    """All finished predictions of a run by sample id; a torn last line is not finished.

    Raises:
        InputError: a sample has two different answers, or a line in the middle is broken.
    """
    found: dict[str, Prediction] = {}
    for path in sorted(folder.glob("part-*.jsonl")):
        for number, prediction in _read_part(path):
            known = found.setdefault(prediction.id, prediction)
            if known is not prediction and known != prediction:
                raise InputError(
                    f"{path}:{number}: expected one answer for sample {prediction.id}, got another one; "
                    "two runs wrote to this folder, start anew with --fresh"
                )
    return found


def _read_part(path: Path) -> Iterator[tuple[int, Prediction]]:
    text = path.read_bytes()
    *lines, torn = text.split(b"\n")
    del torn  # empty in a whole file
    for number, line in enumerate(lines, 1):
        try:
            row = parse(line)
            prediction = Prediction(**row)
            if prediction.shown is not None:
                prediction = replace(prediction, shown=Shown.read(row["shown"]))
            if not isinstance(prediction.id, str) or not isinstance(prediction.text, str):
                raise TypeError("an id or a text that is no string")
        except (ValueError, TypeError, KeyError) as error:
            raise InputError(
                f"{path}:{number}: expected a prediction, got {error}; delete this line, and the same command answers "
                "its sample again"
            ) from None
        yield number, prediction


def _cut_torn_line(path: Path) -> None:
    """Remove what a kill left half-written, or the next line would be appended to it."""
    if path.is_file():
        whole = path.read_bytes().rfind(b"\n") + 1
        os.truncate(path, whole)
