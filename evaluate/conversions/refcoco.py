"""RefCOCO, RefCOCO+ and RefCOCOg: a line per sentence of a split, with the box as corners.

The authors publish phrases as pickles, which can run code when they are read: this reader knows plain values alone.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from evaluate.conversion import Conversion, Original, Row
from evaluate.original import Entry, index_entries, read_content
from internvl.errors import InputError

_SOURCE = "https://bvisionweb1.cs.unc.edu/licheng/referit/data"
_FILES = {"refcoco": "refs(unc).p", "refcoco+": "refs(unc).p", "refcocog": "refs(umd).p"}
_SIZES = {
    "refcoco": {"val": 10834, "testA": 5657, "testB": 5095},
    "refcoco+": {"val": 10758, "testA": 5726, "testB": 4889},
    "refcocog": {"val": 4896, "test": 9602},
}
_DIGITS = 6


class PlainUnpickler(pickle.Unpickler):
    """Reads lists, objects, texts and numbers, and refuses the name of anything else."""

    def find_class(self, module: str, name: str) -> NoReturn:
        """Nothing has to be imported to read plain values."""
        raise pickle.UnpicklingError(f"{module}.{name}, which is no plain value")


def list_phrases(phrases: Path, instances: Path, *, split: str) -> Iterator[Row]:
    """Every sentence of every phrase of a split.

    Args:
        phrases: the pickle.
        instances: boxes and sizes of the pictures.
        split: which phrases.
    """
    chosen = [entry for entry in read_phrases(phrases) if entry.text("split") == split]
    boxes, pictures = read_instances(instances)
    for entry in chosen:
        box, picture = boxes.get(entry.number("ann_id")), pictures.get(entry.number("image_id"))
        if box is None or picture is None:
            missing = f"box {entry.number('ann_id')}" if box is None else f"picture {entry.number('image_id')}"
            raise InputError(f"{entry.where}: expected {missing} in {instances}, got none; get both files again")
        for sentence in entry.entries("sentences"):
            yield {
                "image": f"data/coco/train2014/COCO_train2014_{entry.number('image_id'):012}.jpg",
                "sent": sentence.text("sent"),
                "bbox": find_corners(box),
                "height": picture.number("height"),
                "width": picture.number("width"),
            }


def find_corners(entry: Entry) -> list[float]:
    """Left, top, right and bottom of a box that has left, top, width and height."""
    box = entry.values.get("bbox")
    if not isinstance(box, list) or len(box) != 4 or not all(type(side) in (int, float) for side in box):
        raise entry.mistake("bbox", "four numbers")
    left, top, width, height = box
    # Sums of decimal fractions have a tail of binary digits that no annotation has.
    return [left, top, round(left + width, _DIGITS), round(top + height, _DIGITS)]


def read_phrases(path: Path) -> Iterator[Entry]:
    """The entries of the pickle.

    Raises:
        InputError: it is none, or holds more than plain values.
    """
    try:
        with path.open("rb") as file:
            rows = PlainUnpickler(file, encoding="utf-8").load()
    except OSError:
        raise
    except Exception as error:  # what a broken pickle raises is not limited
        told = " ".join(f"{error}".split()) or type(error).__name__
        raise InputError(f"{path}: expected a pickle of plain values, got {told}; get the file again") from None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise InputError(f"{path}: expected a list of phrases, got another layout; get the file again")
    return (Entry(f"{path}: phrase {number}", row) for number, row in enumerate(rows, 1))


def read_instances(path: Path) -> tuple[dict[Any, Entry], dict[Any, Entry]]:
    """Boxes and pictures by id."""
    content = read_content(path)
    whole = Entry(str(path), content if isinstance(content, dict) else {})
    return index_entries(whole.entries("annotations"), "id"), index_entries(whole.entries("images"), "id")


def _name_originals(name: str) -> tuple[Original, ...]:
    command = f"(mkdir -p data/refcoco && cd data/refcoco && wget {_SOURCE}/{name}.zip && unzip {name}.zip)"
    return tuple(Original(f"data/refcoco/{name}/{file}", command) for file in (_FILES[name], "instances.json"))


CONVERSIONS = [
    Conversion(
        f"data/refcoco/{name}_{split}.jsonl",
        _name_originals(name),
        partial(list_phrases, split=split),
        key=("image", "sent", "bbox"),
        size=size,
        note="the order of the published file is not known; this is that of the phrases",
    )
    for name, sizes in _SIZES.items()
    for split, size in sizes.items()
]
