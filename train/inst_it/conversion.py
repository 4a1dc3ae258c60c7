"""From annotation files to row files: record by record, in any number of processes, always to the same bytes."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from internvl.errors import InputError
from internvl.json_stream import stream_objects
from internvl.progress import Progress
from internvl.workers import START_METHOD, end_with_parent
from train.inst_it.exclusion import Exclusion
from train.inst_it.output import RowFiles
from train.inst_it.record import drop_masks, name_record
from train.inst_it.tally import Tally
from train.inst_it.work import Batch, Job, Record, convert_batch, write_reject

_BATCH = 64


@dataclass(slots=True)
class Reading:
    """One annotation file, as far as it is read.

    Attributes:
        is_whole: it was read to its end.
        done, total: bytes.
    """

    path: Path
    kind: str
    is_whole: bool = True
    done: int = 0
    total: int = 0
    names: set[str] = field(default_factory=set)


def convert_file(
    job: Job, reading: Reading, files: RowFiles, exclusion: Exclusion, *, limit: int | None = None, workers: int = 0
) -> Tally:
    """Write the rows of one annotation file behind those that are there.

    A record that cannot be used is listed; where the file itself breaks, what was before it is kept.
    """
    tally = Tally()
    records = _select(reading, files, exclusion, tally, limit)
    with Progress(f"rows of {reading.path.name}", "MB") as progress:
        for batch in _run(job, reading.kind, records, workers):
            for generator, lines in batch.lines.items():
                files.write(generator, lines)
            files.reject(batch.rejects)
            tally.add(batch.tally)
            progress.update(reading.done >> 20, max(1, reading.total >> 20))
    return tally


def _select(
    reading: Reading, files: RowFiles, exclusion: Exclusion, tally: Tally, limit: int | None
) -> Iterator[Record]:
    """The records that are converted, without their masks."""

    def note(done: int, total: int) -> None:
        reading.done, reading.total = done, total

    records = islice(stream_objects(reading.path, note), limit)
    while True:
        try:
            where, value = next(records)
        except StopIteration:
            return
        except InputError as error:
            reading.is_whole = False
            files.reject([write_reject(str(reading.path), f"the file breaks here: {error}")])
            return
        try:
            name = name_record(value, reading.kind, where)
        except InputError as error:
            _refuse(where, str(error), reading, files, tally)
            continue
        if name in reading.names:
            _refuse(where, f"{name}: expected each once, got it again; remove one", reading, files, tally)
        elif exclusion.has(name, _find_path(value)):
            tally.excluded[reading.kind] += 1
        else:
            reading.names.add(name)
            yield where, drop_masks(value)


def _refuse(where: str, reason: str, reading: Reading, files: RowFiles, tally: Tally) -> None:
    tally.refused[reading.kind] += 1
    files.reject([write_reject(where, reason.removeprefix(f"{where}: "))])


def _find_path(value: Mapping[str, Any]) -> str:
    found = value.get("image_path", value.get("video_path", ""))
    return found if isinstance(found, str) else ""


def _run(job: Job, kind: str, records: Iterator[Record], workers: int) -> Iterator[Batch]:
    """Batches in the order of their records; few are under way at a time, so that memory stays small."""
    batches = iter(lambda: list(islice(records, _BATCH)), [])
    if workers <= 0:
        for batch in batches:
            yield convert_batch(job, kind, batch)
        return
    pool = ProcessPoolExecutor(workers, mp_context=get_context(START_METHOD), initializer=end_with_parent)
    waiting: deque[Future[Batch]] = deque()
    try:
        for batch in batches:
            waiting.append(pool.submit(convert_batch, job, kind, batch))
            if len(waiting) > 2 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool:
        raise InputError(
            "--workers: expected processes that live until the end, got one that was killed, as for want of memory; "
            "ask for fewer and start again, the files of an earlier conversion are as they were"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)
