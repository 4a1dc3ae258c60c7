"""What the rows of an annotation file cost: the sizes of their pictures, from the headers, and their text tokens.

Both are counted in other processes, a chunk of rows at a time, so nothing here may import torch: a process that only
counts should start at once and stay small.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from internvl.conversation import Conversation, Picture
from internvl.errors import InputError, MissingError
from internvl.shares import split_evenly
from internvl.template import ChatTemplate
from internvl.tokens import IMAGE_CONTEXT, IMAGE_START
from internvl.video import read_video
from train.mixture import scan_lines

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from internvl.processor import InternVLProcessor

Array = npt.NDArray[Any]
Progress = Callable[[int, int], None]
"""Told (rows done, rows to do); a row that is measured twice, pictures and text, counts twice."""
CHUNK_ROWS = 2048
"""The most rows of a chunk; the chunks of a file are equally long, give or take a row."""
Problem = tuple[int, str]
"""The position of a row, and why it cannot be used."""

BROKEN, ISOLATED, VIDEO, UNKNOWN = 1, 2, 4, 8
"""Flags of a row. Unknown: a video file, whose frames are not chosen yet."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Neighbouring rows of a file: where they begin, and their line numbers."""

    path: Path
    root: Path
    offsets: Array
    lines: Array


@dataclass(frozen=True, slots=True)
class Counter:
    """How text becomes tokens.

    Attributes:
        tokenizer: the tokenizer as JSON.
        template: the chat template.
        context_id: the placeholder of a picture.
    """

    tokenizer: str
    template: ChatTemplate
    context_id: int

    @classmethod
    def of(cls, processor: InternVLProcessor) -> Counter:
        """The counter that agrees with a processor."""
        return cls(processor.tokenizer.backend_tokenizer.to_str(), processor.template, processor.context_id)

    @property
    def fingerprint(self) -> str:
        """Of all that decides how many tokens a text has."""
        text = f"{hashlib.sha256(self.tokenizer.encode()).hexdigest()} {self.template} {self.context_id}"
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class StoredCounter:
    """A counter whose tokenizer lies in a file, so that it is not sent along with every chunk."""

    tokenizer_file: Path
    template: ChatTemplate
    context_id: int


@dataclass(frozen=True, slots=True)
class MeasuredPictures:
    """Flags and number of pictures per row, width and height per picture, and the rows that cannot be used."""

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
                if chat.video.path.is_file():
                    flags[position] |= UNKNOWN
                    continue
                chat = chat.with_frames(read_video(chat.video))
            found = [_read_size(picture) for picture in chat.images]
        except InputError as error:
            flags[position] |= BROKEN
            problems.append((position, str(error).removeprefix(f"{source}: ")))
            continue
        counts[position] = len(found)
        sizes += found
    return MeasuredPictures(flags, counts, np.array(sizes, np.int32).reshape(-1, 2), problems)


def measure_chunk_text(chunk: Chunk, flags: Array, counts: Array, counter: StoredCounter) -> MeasuredText:
    """Count the text tokens of the usable rows of a chunk; `counts` are their pictures."""
    tokenizer = _open_tokenizer(counter.tokenizer_file)
    tokens = np.full(len(chunk.offsets), -1, np.int32)
    problems: list[Problem] = []
    for position, (source, line) in enumerate(_read_lines(chunk)):
        if flags[position] & (BROKEN | UNKNOWN):
            continue
        try:
            chat = _parse(line, chunk.root, source)
            if chat.video is not None:
                # How many frames there are is all that their text depends on.
                chat = chat.with_frames([Path()] * int(counts[position]))
            tokens[position] = _count(chat, tokenizer, counter)
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


def _count(chat: Conversation, tokenizer: Tokenizer, counter: StoredCounter) -> int:
    """Text tokens of a conversation; the pairs of an isolated one share all up to the last picture."""
    num_images, total = len(chat.images), -len(chat.images)
    for number, pair in enumerate(chat.split_pairs() if chat.isolated else [chat]):
        rendered = counter.template.render(pair.turns, num_images=num_images, training=True)
        ids = _encode(tokenizer, rendered.text)
        found = ids.count(counter.context_id)
        if found != num_images:
            raise InputError(
                f"text: expected {num_images} picture placeholders, got {found}; "
                f"the words {IMAGE_CONTEXT} and {IMAGE_START} are reserved, remove them from the text"
            )
        if number == 0:
            total += len(ids)
            # With the end token behind the placeholder, as the processor cuts.
            shared = len(ids) - ids[::-1].index(counter.context_id) + 1 if chat.isolated else 0
        else:
            total += len(ids) - shared
    return total


def _encode(tokenizer: Tokenizer, text: str) -> list[int]:
    try:
        # The fast variant leaves out the offsets, which nobody asks for here.
        ids: list[int] = tokenizer.encode_batch_fast([text])[0].ids
    except (UnicodeError, TypeError) as error:
        raise InputError(
            f"text: expected Unicode text, got half of a surrogate pair ({type(error).__name__}); correct the row"
        ) from None
    return ids


@lru_cache(maxsize=1)
def _open_tokenizer(path: Path) -> Tokenizer:
    from tokenizers import Tokenizer

    return Tokenizer.from_file(str(path))


def store_counter(counter: Counter, folder: Path) -> StoredCounter:
    """Write the tokenizer to a file of its own in the folder."""
    path = folder / "tokenizer.json"
    path.write_text(counter.tokenizer, encoding="utf-8")
    return StoredCounter(path, counter.template, counter.context_id)


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


def measure_pictures(path: Path, root: Path, num_workers: int, report: Report) -> dict[str, Array]:
    """Where the rows of a file begin, what they are, and the sizes of their pictures."""
    offsets, lines = (np.array(part, np.int64) for part in scan_lines(path))
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
        "offsets": offsets,
        "lines": lines,
        "flags": np.concatenate(flags),
        "picture_ends": np.cumsum(np.concatenate(counts), dtype=np.int64),
        "sizes": np.concatenate(sizes),
        **problems.arrays(),
    }


def measure_text(
    path: Path, root: Path, rows: Mapping[str, Array], counter: Counter, num_workers: int, report: Report
) -> dict[str, Array]:
    """The text tokens of the rows that `measure_pictures` found."""
    if report.total == 0:
        report.begin(len(rows["offsets"]))
    tokens, problems = [np.empty(0, np.int32)], _Problems()
    columns = np.array(rows["flags"]), np.diff(rows["picture_ends"], prepend=0)
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
    # A plain fork copies the locks of threads that are not copied and may hang.
    pool = ProcessPoolExecutor(num_workers, mp_context=get_context("forkserver"))
    try:
        yield from pool.map(work, *zip(*tasks, strict=True))
    finally:
        pool.shutdown(cancel_futures=True)
