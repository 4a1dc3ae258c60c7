"""The index of an annotation file: where its rows begin and what each costs, kept on disk and mapped into memory.

Three layers, each a folder of arrays with a fingerprint of what it was made from: the rows and their pictures, the text
tokens for one tokenizer and template, and the lengths under one tiling, which are computed from the other two. A
picture that is replaced behind the same row is not noticed: delete the folder then, it is rebuilt when it is needed.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from internvl.errors import InputError, MissingError
from internvl.frames import FrameSampling, VideoInfo
from train.counter import Counter
from train.layer import Layer, hash_parts, map_arrays, open_layer, probe_file, write_layer
from train.measure import (
    ISOLATED,
    VIDEO,
    Array,
    Chunk,
    Progress,
    Report,
    count_pictures,
    measure_chunk_pictures,
    measure_pictures,
    measure_text,
)

if TYPE_CHECKING:
    from internvl.tiler import ImageTiler

VERSION = 2
_ROWS = ("sha256", "offsets", "lines", "flags", "picture_ends", "sizes", "error_rows", "error_ends", "error_text")
_TOKENS = ("tokens", "error_rows", "error_ends", "error_text")
_LENGTHS = ("tokens", "tiles")
_PATIENCE_SECONDS = 60
_NUM_RECHECKED = 4096  # rows whose pictures could not be read
WHOLE_VIDEOS = FrameSampling()
"""Every frame of a folder, up to the published limit."""


@dataclass(frozen=True, slots=True)
class RowError:
    """A row that cannot be used, and why."""

    row: int
    line: int
    reason: str


@dataclass(frozen=True)
class Lengths:
    """What every row of a file takes of a batch, under one tiling; -1 for rows that cannot be used.

    Attributes:
        tokens: text and visual tokens, before a cut to the maximum length.
        tiles: tiles through the vision tower.
        folder: where the arrays lie.
        content: a hash of all of them.
    """

    tokens: Array
    tiles: Array
    folder: Path
    content: str

    def __reduce__(self) -> tuple[Any, ...]:
        # As for the index: maps of files would be pickled as copies.
        return _map_lengths, (self.folder, self.content)


@dataclass(frozen=True)
class FileIndex:
    """The rows of one annotation file; all arrays are maps of files.

    Attributes:
        path: the annotation file.
        rows: the first layer. `offsets` and `lines` per row, `flags` of `train.measure`, `picture_ends` (pictures up
            to and with this row), `sizes` (width, height per picture) and the errors.
        counted: the second layer: `tokens` per row (-1 where they are not known) and the errors.
        folders: where the layers lie.
        sampling: how many frames of a video are taken.
    """

    path: Path
    rows: Mapping[str, Array]
    counted: Mapping[str, Array]
    folders: tuple[Path, Path]
    sampling: FrameSampling

    @classmethod
    def open(
        cls,
        path: str | Path,
        root: str | Path,
        counter: Counter,
        *,
        sampling: FrameSampling = WHOLE_VIDEOS,
        cache: str | Path | None = None,
        num_workers: int = 0,
        progress: Progress | None = None,
        builds: bool = True,
    ) -> FileIndex:
        """Open the index of a file, and build first what is missing, damaged or out of date.

        Args:
            path: the JSONL file.
            root: the folder that its picture paths are relative to.
            counter: tokenizer and template.
            sampling: how many frames of a video are taken.
            cache: folder for the index; None puts it next to the file as `<file name>.index`.
            num_workers: processes that build; 0 builds in this one.
            progress: told how far building is.
            builds: False waits for another process to build.

        Raises:
            MissingError: there is no such file.
            InputError: the index cannot be written.
        """
        path, root = Path(path), Path(root)
        home, place = _choose_folder(path, cache), hash_parts(os.path.abspath(root))
        file_print = _fingerprint_file(path, root)
        rows_folder = home / f"rows-{place[:12]}"
        rows = _open(lambda: _open_rows(rows_folder, file_print, path, root), rows_folder, builds)
        is_old = rows is None
        report = Report(progress, num_layers=1 + is_old)
        if rows is None:
            arrays = measure_pictures(path, root, num_workers, report)
            shutil.rmtree(rows_folder, ignore_errors=True)  # it may differ in no more than what its pictures were
            rows = write_layer(rows_folder, file_print, arrays)
        # Files without videos are not counted anew for another choice of frames.
        choice = str(sampling) if bool((rows.arrays["flags"] & VIDEO).any()) else ""
        folder = home / f"tokens-{hash_parts(place, counter.fingerprint, choice)[:12]}"
        # With the content of the first layer: a picture that was missing when the tokens were counted may be there now.
        print_of_tokens = hash_parts(file_print, rows.content, counter.fingerprint, choice)
        counted = _open(lambda: open_layer(folder, print_of_tokens, _TOKENS), folder, builds)
        if counted is None:
            arrays = measure_text(path, root, rows.arrays, counter, sampling, num_workers, report)
            counted = write_layer(folder, print_of_tokens, arrays)
        elif is_old:
            report.finish()
        return cls(path, rows.arrays, counted.arrays, (rows_folder, folder), sampling)

    def __len__(self) -> int:
        return len(self.offsets)

    def __reduce__(self) -> tuple[Any, ...]:
        # Arrays that are maps of files would be pickled as copies, one per data worker.
        return _map_index, (self.path, self.folders, self.sampling)

    @property
    def offsets(self) -> Array:
        """Where each row begins in the file, in bytes."""
        return self.rows["offsets"]

    @property
    def lines(self) -> Array:
        """Line number of each row, from 1."""
        return self.rows["lines"]

    @property
    def text_tokens(self) -> Array:
        """Tokens of each row without the visual ones; -1 for rows that cannot be used and videos not yet opened."""
        return self.counted["tokens"]

    @property
    def isolated(self) -> Array:
        """Which rows hold pairs that are samples of their own."""
        return (self.rows["flags"] & ISOLATED) > 0

    @property
    def video(self) -> Array:
        """Which rows show a video."""
        return (self.rows["flags"] & VIDEO) > 0

    @property
    def home(self) -> Path:
        """The folder that holds the index; it is rebuilt when it is deleted."""
        return self.folders[0].parent

    @property
    def sha256(self) -> str:
        """A hash of the whole annotation file."""
        return bytes(self.rows["sha256"]).hex()

    def video_info(self, number: int) -> VideoInfo:
        """Frames and frame rate of a row's video."""
        frames, rate = self.rows["sizes"][self.rows["picture_ends"][number] - 1].tolist()
        return VideoInfo(frames, rate / 1000)

    def row(self, number: int) -> tuple[str, Any]:
        """`file:line` and the parsed row."""
        source = f"{self.path}:{self.lines[number]}"
        with self.path.open("rb") as file:
            file.seek(int(self.offsets[number]))
            line = file.readline()
        try:
            return source, json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{source}: expected JSON, got {error}; correct or remove the line") from None

    def errors(self) -> Iterator[RowError]:
        """The rows that cannot be used, those of each layer in their order in the file."""
        for layer in (self.rows, self.counted):
            begin = 0
            text = layer["error_text"]
            for row, end in zip(layer["error_rows"].tolist(), layer["error_ends"].tolist(), strict=True):
                yield RowError(row, int(self.lines[row]), bytes(text[begin:end]).decode())
                begin = end

    def num_errors(self) -> int:
        """How many rows cannot be used."""
        return len(self.rows["error_rows"]) + len(self.counted["error_rows"])

    def lengths(
        self, tiler: ImageTiler, tokens_per_tile: int, max_tiles: int | None = None, *, builds: bool = True
    ) -> Lengths:
        """Tokens and tiles per row, as the processor makes them.

        Args:
            tiler: the tiling.
            tokens_per_tile: visual tokens per tile.
            max_tiles: replaces the tiler's limit for this file.
            builds: as in `open`.
        """
        meta = json.loads((self.folders[1] / "meta.json").read_text(encoding="utf-8"))
        # Of the tiler only what decides how many tiles there are.
        grid = tiler.dynamic, tiler.min_tiles, tiler.max_tiles, tiler.thumbnail, tiler.image_size
        options = str((grid, tokens_per_tile, max_tiles))
        fingerprint = hash_parts(meta["fingerprint"], meta["content"], options)
        folder = self.folders[1].with_name(f"lengths-{hash_parts(self.folders[1].name, options)[:12]}")
        layer = _open(lambda: open_layer(folder, fingerprint, _LENGTHS), folder, builds)
        if layer is None:
            tiles = self._count_tiles(tiler, max_tiles)
            is_known = self.text_tokens >= 0
            tokens = np.where(is_known, self.text_tokens + tiles * tokens_per_tile, -1)
            arrays = {"tokens": tokens, "tiles": np.where(is_known, tiles, -1)}
            layer = write_layer(folder, fingerprint, {name: array.astype(np.int32) for name, array in arrays.items()})
        return Lengths(layer.arrays["tokens"], layer.arrays["tiles"], folder, layer.content)

    def _count_tiles(self, tiler: ImageTiler, max_tiles: int | None) -> Array:
        entries = np.diff(self.rows["picture_ends"], prepend=0)
        budgets = np.maximum(1, (max_tiles or tiler.max_tiles) // np.maximum(1, entries))
        per_entry = np.zeros(len(self.rows["sizes"]), np.int64)
        pictures = np.flatnonzero(np.repeat(~self.video, entries))
        sizes, inverse = _unique_rows(
            np.column_stack([self.rows["sizes"][pictures], np.repeat(budgets, entries)[pictures]]).astype(np.int64)
        )
        per_size = [_tiles_of_size(tiler, width, height, budget) for width, height, budget in sizes.tolist()]
        per_entry[pictures] = np.array(per_size, np.int64)[inverse]
        totals = np.concatenate([[0], np.cumsum(per_entry)])
        ends = self.rows["picture_ends"]
        # A frame of a video is one tile.
        return np.where(self.video, count_pictures(self.rows, self.sampling), totals[ends] - totals[ends - entries])


@lru_cache(maxsize=1 << 16)
def _tiles_of_size(tiler: ImageTiler, width: int, height: int, budget: int) -> int:
    return int(tiler.count(width, height, budget))


def _unique_rows(columns: Array) -> tuple[Array, Array]:
    """The distinct rows of a table of (width, height, budget), and which of them each row is."""
    # Numbers in two steps: sorting whole rows, as numpy's `axis` does, takes ten times as long.
    shapes, shape = np.unique(columns[:, 0] << 32 | columns[:, 1], return_inverse=True)
    limit = int(columns[:, 2].max(initial=0)) + 1
    keys, inverse = np.unique(shape * limit + columns[:, 2], return_inverse=True)
    place, budgets = np.divmod(keys, limit)
    return np.column_stack([shapes[place] >> 32, shapes[place] & 0xFFFFFFFF, budgets]), inverse


def _map_index(path: Path, folders: tuple[Path, Path], sampling: FrameSampling) -> FileIndex:
    """The index of an earlier `open`, without a look at what it was made from."""
    rows, counted = (map_arrays(folder, names) for folder, names in zip(folders, (_ROWS, _TOKENS), strict=True))
    return FileIndex(path, rows, counted, folders, sampling)


def _map_lengths(folder: Path, content: str) -> Lengths:
    return Lengths(**map_arrays(folder, _LENGTHS), folder=folder, content=content)


def _choose_folder(path: Path, cache: str | Path | None) -> Path:
    if not path.is_file():
        raise MissingError(f"index: expected an annotation file, got {path}, which does not exist; check the meta file")
    if cache is None:
        return path.with_name(f"{path.name}.index")
    # Files of one name in several folders may share a cache.
    return Path(cache) / f"{path.name}-{hash_parts(os.path.abspath(path))[:12]}.index"


def _fingerprint_file(path: Path, root: Path) -> str:
    return hash_parts(str(VERSION), str(path.stat().st_mtime_ns), probe_file(path), os.path.abspath(root))


def _open_rows(folder: Path, fingerprint: str, path: Path, root: Path) -> Layer | None:
    """The first layer, unless a picture that was missing or broken can be read by now."""
    layer = open_layer(folder, fingerprint, _ROWS)
    if layer is None:
        return None
    wrong = layer.arrays["error_rows"][:_NUM_RECHECKED]
    chunk = Chunk(path, root, *(layer.arrays[name][wrong] for name in ("offsets", "lines")))
    return layer if len(measure_chunk_pictures(chunk).problems) == len(wrong) else None


def _open(find: Callable[[], Layer | None], folder: Path, builds: bool) -> Layer | None:
    """The layer of a folder; a process that does not build waits for the one that does."""
    waited = 0
    while (layer := find()) is None and not builds:
        waited += 1
        if waited % _PATIENCE_SECONDS == 0:
            print(f"waiting for the index {folder}, which the first process builds ({waited} s)", file=sys.stderr)
        time.sleep(1)
    return layer
