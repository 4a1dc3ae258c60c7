"""Predictions on disk: every rank appends to a part file of its own, and a kill loses at most the batch in flight."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

from evaluate.sample import Prediction
from internvl.errors import InputError


class PartWriter:
    """Appends finished predictions of one rank, and flushes after every batch."""

    def __init__(self, folder: Path, rank: int) -> None:
        path = folder / f"part-{rank}.jsonl"
        _cut_torn_line(path)
        self._file = path.open("a", encoding="utf-8")

    def write(self, predictions: Iterable[Prediction]) -> None:
        """Append one line per prediction."""
        self._file.write("".join(json.dumps(asdict(p), ensure_ascii=False) + "\n" for p in predictions))
        self._file.flush()

    def close(self) -> None:
        """Make sure everything is on the disk."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()


def read_parts(folder: Path) -> dict[str, Prediction]:
    """All finished predictions of a run by sample id; a torn last line is not finished.

    Raises:
        InputError: a sample has two different answers, or a line in the middle is broken.
    """
    found: dict[str, Prediction] = {}
    for path in sorted(folder.glob("part-*.jsonl")):
        for where, prediction in _read_part(path):
            known = found.setdefault(prediction.id, prediction)
            if known != prediction:
                raise InputError(
                    f"{where}: expected one answer for sample {prediction.id}, got another one; "
                    "two runs wrote to this folder, start anew with --fresh"
                )
    return found


def _read_part(path: Path) -> Iterator[tuple[str, Prediction]]:
    text = path.read_bytes()
    *lines, torn = text.split(b"\n")
    del torn  # empty in a whole file
    for number, line in enumerate(lines, 1):
        try:
            yield f"{path}:{number}", Prediction(**json.loads(line))
        except (ValueError, TypeError) as error:
            raise InputError(f"{path}:{number}: expected a prediction, got {error}; start anew with --fresh") from None


def _cut_torn_line(path: Path) -> None:
    """Remove what a kill left half-written, or the next line would be appended to it."""
    if path.is_file():
        whole = path.read_bytes().rfind(b"\n") + 1
        os.truncate(path, whole)
