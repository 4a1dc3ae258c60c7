"""A batch of records to lines: what a worker process does; nothing in it depends on other batches."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from internvl.errors import InputError
from train.inst_it.pictures import add_frame_rows, add_picture_rows
from train.inst_it.record import IMAGE, Clip, read_image, read_video
from train.inst_it.settings import Settings
from train.inst_it.sheet import Look, Sheet
from train.inst_it.tally import Tally
from train.inst_it.videos import add_video_rows

Record = tuple[str, Any]
"""The name of a record (`file: entry 1`) and its value."""


@dataclass(frozen=True, slots=True)
class Job:
    """What all batches have in common.

    Attributes:
        seed: of wordings, orders and choices.
        root: folder of the pictures, where they are opened; None where nobody looks.
        variant: of the pictures, in place of the one that the annotations name.
        tokenizer: file that lengths are counted with; None for words.
    """

    settings: Settings
    seed: int = 0
    root: Path | None = None
    variant: str | None = None
    tokenizer: Path | None = None


@dataclass(slots=True)
class Batch:
    """What a batch of records gives.

    Attributes:
        lines: the rows as text, by kind.
        rejects: a line for each record and each text that cannot be used.
    """

    lines: dict[str, list[str]] = field(default_factory=dict)
    rejects: list[str] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)


def convert_batch(job: Job, kind: str, records: Sequence[Record]) -> Batch:
    """The rows of some records."""
    batch = Batch()
    measure = make_measure(job.tokenizer)
    look = None if job.root is None else make_look(job.root)
    for where, value in records:
        sheet = Sheet(job.settings, job.seed, look)
        try:
            _convert(sheet, kind, value, where, job.variant, batch.tally)
        except InputError as error:
            batch.tally.refused[kind] += 1
            batch.rejects.append(write_reject(where, str(error).removeprefix(f"{where}: ")))
            continue
        _collect(batch, sheet, where, measure)
    return batch


def write_reject(where: str, reason: str, **keys: str) -> str:
    """A line of the list of what cannot be used."""
    return json.dumps({"entry": where, **keys, "reason": reason}) + "\n"


def make_look(root: Path) -> Look:
    """Opens pictures below a folder, and says what is wrong with one."""
    from PIL import Image, ImageFile

    # Scans and panoramas are no attack; and others of the process may have read cut-off files as far as they go.
    Image.MAX_IMAGE_PIXELS = None
    ImageFile.LOAD_TRUNCATED_IMAGES = False

    def look(name: str) -> str | None:
        try:
            with Image.open(root / name) as picture:
                picture.load()
        except FileNotFoundError:
            return f"{name} does not exist"
        except Exception as error:  # damaged files make PIL raise SyntaxError, OverflowError and others
            return f"{name} ({type(error).__name__})"
        return None

    return look


@cache
def make_measure(tokenizer: Path | None) -> Callable[[str], int]:
    """The length of a text in words, or in the tokens of a tokenizer."""
    if tokenizer is None:
        return lambda text: len(text.split())
    from tokenizers import Tokenizer

    encode = Tokenizer.from_file(str(tokenizer)).encode
    return lambda text: len(encode(text, add_special_tokens=False).ids)


def _convert(sheet: Sheet, kind: str, value: Mapping[str, Any], where: str, variant: str | None, tally: Tally) -> None:
    if kind == IMAGE:
        shot = read_image(value, where, variant)
        tally.found.update({"images": 1, "captions of pictures": 1, "texts about instances": len(shot.instances)})
        add_picture_rows(sheet, shot)
        return
    clip = read_video(value, where, variant)
    tally.found.update(_count(clip))
    add_frame_rows(sheet, clip)
    add_video_rows(sheet, clip)


def _count(clip: Clip) -> dict[str, int]:
    return {
        "videos": 1,
        "captions of pictures": len(clip.frames),
        "texts about instances": sum(len(frame.instances) for frame in clip.frames),
        "changes": sum(bool(frame.change) for frame in clip.frames),
        "questions": len(clip.pairs),
    }


def _collect(batch: Batch, sheet: Sheet, where: str, measure: Callable[[str], int]) -> None:
    tally = batch.tally
    tally.candidates.update(sheet.candidates)
    tally.kept.update(sheet.kept)
    tally.left_out.update(sheet.spared)
    for drop in sheet.drops:
        tally.left_out[drop.generator, drop.problem.reason] += 1
        found = {"found": drop.problem.found} if drop.problem.found else {}
        part = {"part": drop.part} if drop.part else {}
        batch.rejects.append(write_reject(where, drop.problem.reason, generator=drop.generator, **part, **found))
    for generator, row in sheet.rows:
        tally.count_length(generator, sum(measure(turn["value"]) for turn in row["conversations"]))
        batch.lines.setdefault(generator, []).append(json.dumps(row, ensure_ascii=False) + "\n")
