"""Submission files: rows are checked against the layout that a server takes before anything is written."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaluate.sample import Prediction, Sample
from internvl.errors import InputError

NAME = "submission.json"


@dataclass(frozen=True, slots=True)
class Layout:
    """What a file holds: a list of objects.

    Attributes:
        keys: the keys of every object, all of them and no others, with the types of their values; `object` is any.
        key: the one that names the question; empty where none does.
    """

    keys: Mapping[str, type]
    key: str = ""


def read_texts(predictions: Sequence[Prediction], samples: Sequence[Sample]) -> dict[str, str]:
    """What was said to each sample, by id.

    Raises:
        InputError: a sample has no answer or two, or an answer is to none of them.
    """
    counts = Counter(prediction.id for prediction in predictions)
    asked = {sample.id for sample in samples}
    wrong = [f"none to {name}" for name in asked - counts.keys()]
    wrong += [f"one to {name}, which was not asked" for name in counts.keys() - asked]
    wrong += [f"{count} to {name}" for name, count in counts.items() if count > 1]
    if wrong:
        more = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        raise InputError(f"submission: expected an answer to every sample, got {min(wrong)}{more}; run it again")
    return {prediction.id: prediction.text for prediction in predictions}


def pair(predictions: Sequence[Prediction], samples: Sequence[Sample]) -> list[tuple[Prediction, Sample]]:
    """Answers with their samples, in the order of the answers.

    Raises:
        InputError: as `read_texts` does.
    """
    read_texts(predictions, samples)
    by_id = {sample.id: sample for sample in samples}
    return [(prediction, by_id[prediction.id]) for prediction in predictions]


def write_submission(
    folder: Path,
    rows: Sequence[Mapping[str, Any]],
    layout: Layout,
    wanted: Iterable[Hashable] | None = None,
    name: str = NAME,
) -> None:
    """Check rows and write them, whole or not at all.

    Args:
        folder: where it goes.
        rows: the content.
        layout: what the server takes.
        wanted: the ids that must be there, each once and no others; None for no such rule.
        name: of the file; one that ends with .jsonl has a row per line.

    Raises:
        InputError: the rows are not what the server takes; nothing is written.
    """
    path = folder / name
    check_rows(rows, layout, wanted, str(path))
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    write_text(path, "".join(f"{line}\n" for line in lines) if path.suffix == ".jsonl" else f"[{', '.join(lines)}]")


def write_rows(path: Path, rows: Iterable[Any]) -> None:
    """A line per row."""
    write_text(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def write_text(path: Path, text: str) -> None:
    """A file that is there whole or not at all."""
    # An answer may hold half of a pair of code units, which no file can.
    place(path, lambda partial: partial.write_bytes(text.encode("utf-8", "replace")))


def place(path: Path, write: Callable[[Path], object]) -> None:
    """Put a file in its place once all of it is written."""
    partial = path.with_name(f".{path.name}.partial")
    write(partial)
    partial.replace(path)


def check_rows(
    rows: Sequence[Mapping[str, Any]], layout: Layout, wanted: Iterable[Hashable] | None = None, name: str = NAME
) -> None:
    """Refuse rows that the server would refuse, or score as something else."""
    for number, row in enumerate(rows, 1):
        if row.keys() != layout.keys.keys():
            raise InputError(
                f"{name}: expected the keys {', '.join(layout.keys)} in row {number}, got {', '.join(row) or 'none'}; "
                "get the data again"
            )
        for key, kind in layout.keys.items():
            if not isinstance(row[key], kind) or (kind is int and isinstance(row[key], bool)):
                raise InputError(
                    f"{name}: expected {kind.__name__} as {key} in row {number}, got {row[key]!r}; get the data again"
                )
    if not layout.key:
        return
    seen: set[Hashable] = set()
    for row in rows:
        if row[layout.key] in seen:
            raise InputError(
                f"{name}: expected each {layout.key} once, got {row[layout.key]!r} again; get the data again"
            )
        seen.add(row[layout.key])
    if wanted is not None and (wrong := sorted(map(repr, seen ^ set(wanted)))):
        raise InputError(
            f"{name}: expected the {layout.key}s of the whole set, got {len(wrong)} missing or unknown "
            f"({', '.join(wrong[:3])}); predict all of it, or get the data again"
        )
