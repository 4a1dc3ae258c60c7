"""The training mixture: the published meta JSON, and its annotation files as one indexable list of rows."""

from __future__ import annotations

import json
from array import array
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

from internvl.conversation import Conversation
from internvl.errors import InputError, MissingError

if TYPE_CHECKING:
    from train.index import FileIndex


@dataclass(frozen=True, slots=True)
class Source:
    """One entry of the meta file.

    Attributes:
        name: its key.
        root: folder that picture paths are relative to.
        annotation: the JSONL file.
        repeat_time: below 1 the first share of the lines, above 1 a whole number of copies.
        max_tiles: replaces the run's limit of tiles for this file.
    """

    name: str
    root: Path
    annotation: Path
    repeat_time: float = 1.0
    max_tiles: int | None = None


def read_meta(path: str | Path) -> list[Source]:
    """Read a meta file.

    Raises:
        MissingError: the meta file or an annotation file is not there.
        InputError: the file is no JSON object of entries with `root` and `annotation`, or an entry is wrong.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingError(
            f"data.meta_path: expected a JSON file, got {path}, which does not exist; see docs/data-format.md"
        )
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path}: expected JSON, got {error}; correct the file") from None
    if not isinstance(entries, Mapping) or not entries:
        raise InputError(f"{path}: expected an object of data sets, got none; see docs/data-format.md")
    return [_read_entry(path, name, entry) for name, entry in entries.items()]


def _read_entry(path: Path, name: str, entry: Any) -> Source:
    where = f"{path}: {name}"
    if not isinstance(entry, Mapping) or not all(
        isinstance(text, str) for text in (entry.get("root", ""), entry.get("annotation"))
    ):
        raise InputError(f"{where}: expected `root` and `annotation`, got {str(entry)[:60]}; name the files")
    annotation = Path(entry["annotation"])
    if not annotation.is_file():
        raise MissingError(
            f"{where}: expected the annotation file {annotation}, which does not exist; put it there (paths are "
            "relative to the working directory)"
        )
    repeat = entry.get("repeat_time", 1)
    if not isinstance(repeat, int | float) or repeat <= 0 or (repeat > 1 and repeat != int(repeat)):
        raise InputError(f"{where}: expected `repeat_time` below 1 or a whole number, got {repeat!r}; correct it")
    if entry.get("data_augment"):
        raise InputError(
            f"{where}: expected `data_augment` false, got true; augmentation is not supported, set it to false"
        )
    max_tiles = entry.get("max_dynamic_patch")
    if max_tiles is not None and (not isinstance(max_tiles, int) or max_tiles < 1):
        raise InputError(f"{where}: expected `max_dynamic_patch` of at least 1, got {max_tiles!r}; correct it")
    return Source(name, Path(entry.get("root", "")), annotation, float(repeat), max_tiles)


def scan_lines(path: Path) -> tuple[array[int], array[int]]:
    """Byte offset and line number of every line of a file that is not blank."""
    offsets, lines = array("q"), array("q")
    offset = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                offsets.append(offset)
                lines.append(number)
            offset += len(line)
    return offsets, lines


class JsonlFile:
    """Random access to the lines of a JSONL file.

    Args:
        path: the file.
        index: knows where its rows begin, and keeps that out of memory; None reads the file to find out.
    """

    def __init__(self, path: Path, index: FileIndex | None = None) -> None:
        self.path = path
        self.index = index
        self._found = scan_lines(path) if index is None else None

    def __len__(self) -> int:
        return len(self._places()[0])

    def _places(self) -> tuple[Sequence[int], Sequence[int]]:
        """Offsets and line numbers."""
        if self._found is not None:
            return self._found
        assert self.index is not None
        return self.index.offsets, self.index.lines  # type: ignore[return-value]

    def row(self, index: int) -> tuple[str, Any]:
        """`file:line` and the parsed row."""
        offsets, lines = self._places()
        source = f"{self.path}:{lines[index]}"
        with self.path.open("rb") as file:
            file.seek(int(offsets[index]))
            line = file.readline()
        try:
            return source, json.loads(line)
        except ValueError as error:
            raise InputError(f"{source}: expected JSON, got {error}; correct or remove the line") from None


class Mixture:
    """All rows of all sources, repetitions included, as one list.

    Args:
        sources: the entries of the meta file.
        indexes: one index per source; without them every process keeps the offsets of all rows in memory.
    """

    def __init__(self, sources: list[Source], indexes: Sequence[FileIndex] | None = None) -> None:
        self.sources = sources
        found: Sequence[FileIndex | None] = [None] * len(sources) if indexes is None else indexes
        self.files = [JsonlFile(source.annotation, index) for source, index in zip(sources, found, strict=True)]
        counts = []
        for source, file in zip(sources, self.files, strict=True):
            if not file:
                raise InputError(f"{source.annotation}: expected at least one row, got an empty file; remove its entry")
            share = source.repeat_time
            counts.append(int(len(file) * share) if share < 1 else len(file) * int(share))
        self.ends = list(accumulate(counts))
        if not self.ends or self.ends[-1] == 0:
            raise InputError("data: expected at least one row, got none; raise `repeat_time` or add data")

    def __len__(self) -> int:
        return self.ends[-1]

    def __getitem__(self, index: int) -> tuple[Source, Conversation]:
        """The source and the conversation of a row."""
        place = bisect_right(self.ends, index)
        source, file = self.sources[place], self.files[place]
        begin = self.ends[place - 1] if place else 0
        where, row = file.row((index - begin) % len(file))
        return source, Conversation.from_row(row, source.root, where)

    def check(self, limit: int = 1000) -> None:
        """Read the first and last rows of every file and look for their pictures, before anything heavy starts."""
        begin = 0
        for end in self.ends:
            size = min(end - begin, len(self.files[self.ends.index(end)]))
            for index in sorted({*range(min(limit, size)), *range(max(0, size - limit), size)}):
                _, chat = self[begin + index]
                for picture in chat.images:
                    if isinstance(picture, Path) and not picture.is_file():
                        raise MissingError(
                            f"{chat.source}: expected the picture {picture}, which does not exist; "
                            "check `root` in the meta file"
                        )
            begin = end
