"""Marks on all pictures of a mask file: resumable, and no bad entry ends it."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import asdict, astuple, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from PIL import Image, ImageFile

from internvl.errors import InputError
from internvl.json_stream import stream_objects
from internvl.marks.annotations import SUFFIXES, Page, plan_pages, read_regions
from internvl.marks.drawing import Paint, Style, draw_marks
from internvl.workers import START_METHOD, end_with_parent

SETTINGS_FILE, PROBLEMS_FILE = "marks.json", "marks_problems.txt"
_PARTIAL_FOLDER = "marks.partial"
_AHEAD = 4  # entries that wait for each worker
# All the colour of thin lines: half of its resolution, which is usual, makes them grey.
_JPEG: Mapping[str, Any] = {"quality": 95, "subsampling": 0}
_SAVE: Mapping[str, Mapping[str, Any]] = {".jpg": _JPEG, ".jpeg": _JPEG, ".webp": {"quality": 95}}
_Task = tuple[str, Any, Path, Path, "Look", bool]


@dataclass(frozen=True, slots=True)
class Look:
    """How marks look, which is the same for all pictures of a folder: the options of `draw_marks`."""

    style: Style = "contour"
    paint: Paint = "white-on-black"
    font_size: int | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of pictures.

    Attributes:
        drawn: got marks.
        marks: that they got.
        copied: have no instance, and are as they were.
        kept: were there before.
        empty: masks without a pixel, which get no mark.
        problems: what was not drawn, and why.
    """

    drawn: int = 0
    marks: int = 0
    copied: int = 0
    kept: int = 0
    empty: int = 0
    problems: tuple[str, ...] = ()

    def __add__(self, other: Outcome) -> Outcome:
        return Outcome(*(mine + its for mine, its in zip(astuple(self), astuple(other), strict=True)))

    def describe(self) -> str:
        """One line for people."""
        parts = [f"{self.drawn:,} pictures with {self.marks:,} marks drawn"]
        for number, text in (
            (self.copied, "copied, which have no instance"),
            (self.kept, "there before"),
            (self.empty, "masks without a pixel left out"),
        ):
            if number:
                parts.append(f"{number:,} {text}")
        return ", ".join(parts)


def mark_file(
    annotations: Path,
    root: Path,
    output: Path,
    look: Look,
    *,
    resize: bool = False,
    num_workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Generator[Outcome, None, None]:
    """Draw the marks of a file of masks on pictures; those that are there already are not drawn again.

    Args:
        annotations: a list of pictures or of videos with their `segmentations`.
        root: where the pictures without marks are.
        output: where those with marks go; what is wrong is listed in its `marks_problems.txt`.
        look: how the marks look.
        resize: bring masks of other sizes to that of their picture.
        num_workers: processes that draw; 1 for this one.
        progress: called with the bytes of the file that were read, and all.

    Yields:
        What became of each entry, in their order.

    Raises:
        InputError: there is nothing to draw from; the folder has marks of another look, or cannot be written to; the
            file is damaged from some entry on, those before it are drawn.
    """
    if not root.is_dir():
        raise InputError(f"--root: expected the folder of pictures without marks, got {root}; correct it")
    if not annotations.is_file():
        raise InputError(f"annotations: expected a file of masks, got {annotations}; correct it")
    with _claim(output, look):
        path = output / PROBLEMS_FILE
        path.unlink(missing_ok=True)
        entries = _read(annotations, progress)
        tasks = (entry if isinstance(entry, InputError) else (*entry, root, output, look, resize) for entry in entries)
        for outcome in _run(tasks, num_workers):
            if outcome.problems:
                with path.open("a", encoding="utf-8", errors="backslashreplace") as file:
                    file.writelines(f"{problem}\n" for problem in outcome.problems)
            yield outcome


def mark_entry(where: str, record: Any, root: Path, output: Path, look: Look, resize: bool) -> Outcome:
    """Draw the marks of a picture, or of all frames of a video.

    Raises:
        InputError: a picture cannot be written.
    """
    try:
        pages, problems = plan_pages(where, record, root, output)
    except InputError as error:
        return Outcome(problems=(str(error),))
    except (OSError, ValueError) as error:  # too long for a file system, a NUL, half a character
        return Outcome(problems=(f"{where}: expected a path that a file can have, got {str(error)[:80]}; correct it",))
    return sum(
        (_mark_page(page, output / _PARTIAL_FOLDER, look, resize) for page in pages), Outcome(problems=tuple(problems))
    )


def _mark_page(page: Page, partial: Path, look: Look, resize: bool) -> Outcome:
    if page.target.is_file():
        return Outcome(kept=1)
    suffix = page.source.suffix.lower()
    if suffix not in SUFFIXES:
        return Outcome(
            problems=(f"{page.where}: expected one of {', '.join(SUFFIXES)}, got {page.source}; convert it",)
        )
    ImageFile.LOAD_TRUNCATED_IMAGES = False  # others of the process may have said otherwise
    try:
        with Image.open(page.source) as image:
            image.load()
            regions, num_empty = read_regions(page, *image.size, resize=resize)
            if regions:
                marks = draw_marks(image, regions, **asdict(look))
    except InputError as error:
        text = str(error)
        return Outcome(problems=(text if text.startswith(page.where) else f"{page.where}: {text}",))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        return Outcome(problems=(f"{page.where}: expected a picture, got {error}; extract the archive again",))
    if not regions:
        _write(page.target, partial, lambda path: shutil.copyfile(page.source, path))
        return Outcome(copied=1, empty=num_empty)
    kind = Image.registered_extensions()[suffix]
    _write(page.target, partial, lambda path: marks.image.save(path, kind, **_SAVE.get(suffix, {})))
    return Outcome(drawn=1, marks=len(marks.ids), empty=num_empty)


def _write(path: Path, folder: Path, write: Callable[[Path], object]) -> None:
    """Write a file whole or not at all; a killed process leaves its part in a folder that the next one empties."""
    partial = folder / f"{os.getpid()}{path.suffix}"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(partial)
        os.replace(partial, path)
    except OSError as error:
        raise _refuse(path, error) from None


def _refuse(path: Path, error: OSError) -> InputError:
    return InputError(f"--output: expected a place with room where files can be written, got {path}: {error}; mend it")


@contextmanager
def _claim(output: Path, look: Look) -> Iterator[None]:
    """Lock the folder, and see that all pictures in it get the same look."""
    path = output / SETTINGS_FILE
    try:
        output.mkdir(parents=True, exist_ok=True)
        file = path.open("a+", encoding="utf-8")
    except OSError as error:
        raise _refuse(path, error) from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(
                f"--output: expected one command at a time, got {output}, where another writes; wait for it"
            ) from None
        file.seek(0)
        before, now = file.read(), json.dumps(asdict(look))
        if before not in ("", now):
            raise InputError(
                f"--output: expected a folder with marks that look as asked, {now}, got {output}, whose marks are "
                f"{before}; choose another"
            )
        if not before:
            file.write(now)
            file.flush()
        partial = output / _PARTIAL_FOLDER
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        try:
            yield
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def _read(annotations: Path, progress: Callable[[int, int], None] | None) -> Iterator[tuple[str, Any] | InputError]:
    """The entries, and at the end what is wrong with the file."""
    try:
        yield from stream_objects(annotations, progress)
    except InputError as error:
        yield error


def _run(tasks: Iterator[_Task | InputError], num_workers: int) -> Iterator[Outcome]:
    """Outcomes in the order of their tasks; a few tasks at a time are in memory."""
    if num_workers == 1:
        for task in tasks:
            if isinstance(task, InputError):
                raise task
            yield mark_entry(*task)
        return
    pool = ProcessPoolExecutor(num_workers, mp_context=get_context(START_METHOD), initializer=_start_worker)
    waiting: deque[Future[Outcome]] = deque()
    broken = None
    try:
        for task in tasks:
            if isinstance(task, InputError):
                broken = task
                break
            waiting.append(pool.submit(mark_entry, *task))
            if len(waiting) >= _AHEAD * num_workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool:
        raise InputError(
            "--workers: expected processes that live until the end, got one that was killed, as for want of memory; "
            "ask for fewer and start again, what is drawn stays"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)
    if broken is not None:
        raise broken


def _start_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the keyboard's goes to all; the parent says when to end
    end_with_parent()
