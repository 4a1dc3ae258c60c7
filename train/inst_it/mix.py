"""The meta file of converted rows: an entry per kind, and one for the general data that they are mixed with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from train.inst_it.settings import General, Settings

_CHUNK = 1 << 22
PREFIX = "inst_it_"


@dataclass(frozen=True, slots=True)
class Mix:
    """What is trained on.

    Attributes:
        entries: of the meta file.
        samples: of an epoch, by entry.
        notes: what is left out, for people.
    """

    entries: Mapping[str, Mapping[str, Any]]
    samples: Mapping[str, int]
    notes: tuple[str, ...]


def make_mix(settings: Settings, folder: Path, root: Path, rows: Mapping[str, int]) -> Mix:
    """The meta file of rows that were written.

    Args:
        folder: of the row files.
        root: that the paths of pictures are relative to.
        rows: how many of them there are, by kind.
    """
    entries: dict[str, dict[str, Any]] = {}
    samples, notes = {}, []
    for generator, options in settings.generators.items():
        if not rows.get(generator):
            notes.append(f"{generator}: no rows, left out of the mixture")
            continue
        entry = _make_entry(root, folder / f"{generator}.jsonl", options.weight, rows[generator])
        if generator.startswith("vid_"):
            # Pictures share the tiles of a row, at least one each: every frame gets exactly one.
            entry["max_dynamic_patch"] = 1
        entries[PREFIX + generator] = entry
        samples[PREFIX + generator] = int(rows[generator] * options.weight)
    if settings.general is not None and entries:
        _add_general(settings.general, entries, samples, notes)
    return Mix(entries, samples, tuple(notes))


def _add_general(
    general: General, entries: dict[str, dict[str, Any]], samples: dict[str, int], notes: list[str]
) -> None:
    path, own = Path(general.annotation), sum(samples.values())
    count = count_lines(path) if path.is_file() else 0
    if not count:
        found = "is empty" if path.is_file() else "is not there"
        notes.append(
            f"{general.name}: {path} {found}, so the mixture has Inst-It rows alone; put the general data there as "
            "rows (docs/data-format.md) and convert again, or name them under `general` in --config"
        )
        return
    repeat = round(general.ratio * max(1, own) / count, 4)
    entries[general.name] = _make_entry(Path(general.root), path, max(repeat, 0.0001), count)
    samples[general.name] = int(count * repeat)


def _make_entry(root: Path, annotation: Path, repeat: float, length: int) -> dict[str, Any]:
    random = {} if repeat == int(repeat) else {"subset": "random"}
    return {
        "root": root.as_posix(),
        "annotation": annotation.as_posix(),
        "data_augment": False,
        "repeat_time": repeat,
        **random,
        "length": length,
    }


def count_lines(path: Path) -> int:
    """The lines of a file, the last one also without an end."""
    count, last = 0, b"\n"
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            count += chunk.count(b"\n")
            last = chunk[-1:]
    return count + (last != b"\n")
