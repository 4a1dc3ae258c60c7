"""POPE: the questions of the three label files one after the other, each with the request for a short answer."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

from evaluate.benchmarks.pope import CATEGORIES
from evaluate.choices import SHORT_PROMPT
from evaluate.conversion import Conversion, Original, Row
from evaluate.jsonl import read_rows
from evaluate.original import Entry

_COMMIT = "e3e39262c85a6a83f26cf5094022a782cb0df58d"
_SOURCE = f"https://github.com/AoiDragon/POPE/raw/{_COMMIT}/output/coco"


def list_questions(*labels: Path) -> Iterator[Row]:
    """Every question; its number, from 1 and across categories, is its id.

    Args:
        labels: a file per category, in the order of `CATEGORIES`.
    """
    numbers = count(1)
    for category, path in zip(CATEGORIES, labels, strict=True):
        for where, row in read_rows(path, "image", "text", "label"):
            entry = Entry(where, row)
            yield {
                "question_id": next(numbers),
                "image": entry.text("image"),
                "text": f"{entry.text('text')}\n{SHORT_PROMPT}",
                "category": category,
            }


CONVERSIONS = [
    Conversion(
        "data/pope/llava_pope_test.jsonl",
        tuple(
            Original(f"data/pope/coco/{file}", f"wget -P data/pope/coco {_SOURCE}/{file}")
            for file in (f"coco_pope_{category}.json" for category in CATEGORIES)
        ),
        list_questions,
        key=("category", "image", "text"),
        size=8910,
        note="order of the categories and ids of the published file are not known; these are sorted by category and "
        "count from 1; scores join by picture and question",
    )
]
