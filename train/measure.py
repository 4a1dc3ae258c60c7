"""What the rows of an annotation file cost: the sizes of their pictures, from the headers, and their text tokens.

Both are counted in other processes, a chunk of rows at a time, so nothing here may import torch: a process that only
counts should start at once and stay small.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from internvl.conversation import Conversation, Picture
from internvl.errors import InputError, MissingError
from internvl.frames import FrameSampling, VideoInfo
from internvl.shares import split_evenly
from internvl.video import probe_video
from internvl.workers import START_METHOD, end_with_parent
from train.counter import Counter, StoredCounter, count_tokens, store_counter

Array = npt.NDArray[Any]
Progress = Callable[[int, int], None]
"""Told (rows done, rows to do); a row that is measured twice, pictures and text, counts twice."""
CHUNK_ROWS = 2048
"""The most rows of a chunk; the chunks of a file are equally long, give or take a row."""
Problem = tuple[int, str]
"""The position of a row, and why it cannot be used."""

BROKEN, ISOLATED, VIDEO = 1, 2, 4
"""Flags of a row."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Neighbouring rows of a file: where they begin, and their line numbers."""

    path: Path
    root: Path
    offsets: Array
    lines: Array


@dataclass(frozen=True, slots=True)
class MeasuredPictures:
    """Flags and number of pictures per row, width and height per picture, and the rows that cannot be used.

    A video has one entry in place of its pictures: its frames, and its frames per 1,000 seconds.
    """

    flags: Array
    counts: Array
    sizes: Array
    problems: list[Problem]


@dataclass(frozen=True, slots=True)
class MeasuredText:
    """Tokens per row without the visual ones, -1 where they are not known, and the rows that cannot be used."""

    tokens: Array
    problems: list[Problem]


def measure_chunk_pictures(chunk: Chunk) -> MeasuredPictures:
    """Check the rows of a chunk and read the headers of their pictures."""
    flags = np.zeros(len(chunk.offsets), np.uint8)
    counts = np.zeros(len(chunk.offsets), np.int32)
    sizes: list[tuple[int, int]] = []
    problems: list[Problem] = []
    for position, (source, line) in enumerate(_read_lines(chunk)):
        try:
            chat = _parse(line, chunk.root, source)
            flags[position] = ISOLATED * chat.isolated | VIDEO * (chat.video is not None)
            if chat.video is not None:
                info = probe_video(chat.video)
                found = [(info.num_frames, round(info.fps * 1000))]
            else:
                found = [_read_size(picture) for picture in chat.images]
        except (InputError, OSError) as error:
            flags[position] |= BROKEN
            problems.append((position, str(error).removeprefix(f"{source}: ")))
            continue
        counts[position] = len(found)
        sizes += found
    return MeasuredPictures(flags, counts, np.array(sizes, np.int32).reshape(-1, 2), problems)


def measure_chunk_text(chunk: Chunk, flags: Array, counts: Array, counter: StoredCounter) -> MeasuredText:
    """Count the text tokens of the usable rows of a chunk; `counts` are their pictures."""
    tokens = np.full(len(chunk.offsets), -1, np.int32)
    problems: list[Problem] = []
    for position, (source, line) in enumerate(_read_lines(chunk)):
        if flags[position] & BROKEN:
            continue
        try:
            chat = _parse(line, chunk.root, source)
            if chat.video is not None:
                # How many frames there are is all that their text depends on.
                chat = chat.with_frames([Path()] * int(counts[position]))
            tokens[position] = count_tokens(chat, counter)
        except InputError as error:
            problems.append((position, str(error).removeprefix(f"{source}: ")))
    return MeasuredText(tokens, problems)


def _read_lines(chunk: Chunk) -> Iterator[tuple[str, bytes]]:
    with chunk.path.open("rb") as file:
        for offset, line in zip(chunk.offsets.tolist(), chunk.lines.tolist(), strict=True):
            file.seek(offset)
            yield f"{chunk.path}:{line}", file.readline()


def _parse(line: bytes, root: Path, source: str) -> Conversation:
    try:
        row: Any = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError(f"expected JSON, got {error}; correct or remove the line") from None
    return Conversation.from_row(row, root, source)


def _read_size(picture: Picture) -> tuple[int, int]:
    """Width and height from the header; the pixels stay on the disk."""
    assert isinstance(picture, Path)
    Image.MAX_IMAGE_PIXELS = None  # as where pictures are decoded: scans and panoramas are no attack
    try:
        with Image.open(picture) as image:
            width, height = image.size
    except FileNotFoundError:
        raise MissingError(
            f"picture: expected a file, got {picture}, which does not exist; check the root folder of its annotation "
            "file"
        ) from None
    except Exception as error:  # damaged headers make PIL raise OverflowError, SyntaxError and others
        raise InputError(
            f"picture: expected a readable picture, got {picture} ({type(error).__name__}); replace the file"
        ) from None
    if width < 1 or height < 1:
        raise InputError(f"picture: expected at least one pixel, got {width} x {height} in {picture}; replace the file")
    return width, height


class Report:
    """Progress over the layers of an index that are built.

    Args:
        progress: whom to tell.
        num_layers: how many there are at most.
    """

    def __init__(self, progress: Progress | None, num_layers: int) -> None:
        self.progress = progress
        self.num_layers = num_layers
        self.done = self.total = 0

    def begin(self, num_rows: int) -> None:
        """The file turned out to have this many rows."""
        self.total = num_rows * self.num_layers

    def advance(self, num_rows: int) -> None:
        """More rows are done."""
        self.done += num_rows
        if self.progress is not None:
            self.progress(self.done, self.total)

    def finish(self) -> None:
        """What is left turned out to be up to date."""
        if self.done < self.total:
            self.advance(self.total - self.done)


class _Problems:
    """The errors of all chunks as arrays: row numbers, and their texts one behind the other."""

    def __init__(self) -> None:
        self.rows: list[int] = []
        self.texts: list[bytes] = []
        self.begin = 0

    def add(self, problems: Iterable[Problem], num_rows: int) -> None:
        for position, text in problems:
            self.rows.append(self.begin + position)
            self.texts.append(text.encode(errors="backslashreplace"))
        self.begin += num_rows

    def arrays(self) -> dict[str, Array]:
        return {
            "error_rows": np.array(self.rows, np.int64),
            "error_ends": np.cumsum([len(text) for text in self.texts], dtype=np.int64),
            "error_text": np.frombuffer(b"".join(self.texts), np.uint8),
        }


@dataclass(frozen=True, slots=True)
class Lines:
    """Byte offset and line number of every line that is not blank, and a hash of the whole file."""

    offsets: array[int]
    lines: array[int]
    sha256: str


def scan_lines(path: Path) -> Lines:
    """Read a file once."""
    offsets, lines, content = array("q"), array("q"), hashlib.sha256()
    offset = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                offsets.append(offset)
                lines.append(number)
            offset += len(line)
            content.update(line)
    return Lines(offsets, lines, content.hexdigest())


def measure_pictures(path: Path, root: Path, num_workers: int, report: Report) -> dict[str, Array]:
    """Where the rows of a file begin, what they are, and the sizes of their pictures."""
    found = scan_lines(path)
    offsets, lines = np.array(found.offsets, np.int64), np.array(found.lines, np.int64)
    report.begin(len(offsets))
    flags, counts, sizes = [np.empty(0, np.uint8)], [np.empty(0, np.int32)], [np.empty((0, 2), np.int32)]
    problems = _Problems()
    done: MeasuredPictures
    for done in _run(measure_chunk_pictures, ((chunk,) for chunk in _cut(path, root, offsets, lines)), num_workers):
        flags.append(done.flags)
        counts.append(done.counts)
        sizes.append(done.sizes)
        problems.add(done.problems, len(done.flags))
        report.advance(len(done.flags))
    return {
        "sha256": np.frombuffer(bytes.fromhex(found.sha256), np.uint8),
        "offsets": offsets,
        "lines": lines,
        "flags": np.concatenate(flags),
        "picture_ends": np.cumsum(np.concatenate(counts), dtype=np.int64),
        "sizes": np.concatenate(sizes),
        **problems.arrays(),
    }


def measure_text(
    path: Path,
    root: Path,
    rows: Mapping[str, Array],
    counter: Counter,
    sampling: FrameSampling,
    num_workers: int,
    report: Report,
) -> dict[str, Array]:
    """The text tokens of the rows that `measure_pictures` found."""
    if report.total == 0:
        report.begin(len(rows["offsets"]))
    tokens, problems = [np.empty(0, np.int32)], _Problems()
    columns = np.array(rows["flags"]), count_pictures(rows, sampling)
    done: MeasuredText
    with tempfile.TemporaryDirectory() as folder:
        stored = store_counter(counter, Path(folder))
        spans = _spans(len(rows["offsets"]))
        chunks = zip(_cut(path, root, rows["offsets"], rows["lines"]), spans, strict=True)
        parts = ((chunk, *(column[span] for column in columns), stored) for chunk, span in chunks)
        for done in _run(measure_chunk_text, parts, num_workers):
            tokens.append(done.tokens)
            problems.add(done.problems, len(done.tokens))
            report.advance(len(done.tokens))
    return {"tokens": np.concatenate(tokens), **problems.arrays()}


def count_pictures(rows: Mapping[str, Array], sampling: FrameSampling) -> Array:
    """Pictures per row, or the frames that are taken of its video."""
    counts = np.diff(rows["picture_ends"], prepend=0)
    videos = np.flatnonzero((rows["flags"] & (VIDEO | BROKEN)) == VIDEO)
    found = rows["sizes"][rows["picture_ends"][videos] - 1].tolist()
    for row, (frames, rate) in zip(videos.tolist(), found, strict=True):
        counts[row] = sampling.count(VideoInfo(frames, rate / 1000), row)
    return counts


def _spans(num_rows: int) -> list[slice]:
    """Where the chunks of a file lie, one behind the other."""
    num_chunks = -(-num_rows // CHUNK_ROWS)
    return [slice(rows.start, rows.stop) for rows in split_evenly(num_rows, num_chunks)] if num_rows else []


def _cut(path: Path, root: Path, offsets: Array, lines: Array) -> Iterator[Chunk]:
    for span in _spans(len(offsets)):
        yield Chunk(path, root, *(np.array(part[span]) for part in (offsets, lines)))


def _run(work: Callable[..., Any], tasks: Iterable[tuple[Any, ...]], num_workers: int) -> Iterator[Any]:
    """Results in the order of their tasks."""
    if num_workers <= 0:
        yield from (work(*task) for task in tasks)
        return
    pool = ProcessPoolExecutor(num_workers, mp_context=get_context(START_METHOD), initializer=end_with_parent)
    try:
        yield from pool.map(work, *zip(*tasks, strict=True))
    finally:
        pool.shutdown(cancel_futures=True)
