"""ScienceQA: a line per problem of the test split that has a picture."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from evaluate.conversion import Conversion, Original, Row
from evaluate.original import Entry, read_content, read_table
from internvl.errors import InputError

_SOURCE = "https://raw.githubusercontent.com/lupantech/ScienceQA/main/data/scienceqa"


def list_questions(problems: Path, splits: Path) -> Iterator[Row]:
    """Every problem, in the order of the split."""
    known, content = read_table(problems), read_content(splits)
    for name in Entry(str(splits), content if isinstance(content, dict) else {}).texts("test"):
        entry = known.get(name)
        if entry is None:
            raise InputError(f"{splits}: expected problems of {problems}, got {name!r}; get both files again")
        if entry.values.get("image") is None:
            continue
        entry.pick("choices", entry.number("answer"))
        yield {
            "image": f"data/scienceqa/images/test/{name}/{entry.text('image')}",
            "question": entry.text("question"),
            "choices": entry.texts("choices"),
            "answer": entry.number("answer"),
            "hint": entry.text("hint"),
        }


CONVERSIONS = [
    Conversion(
        "data/scienceqa/scienceqa_test_img.jsonl",
        tuple(
            Original(f"data/scienceqa/{file}", f"wget -P data/scienceqa {_SOURCE}/{file}")
            for file in ("problems.json", "pid_splits.json")
        ),
        list_questions,
        key=("image",),
        size=2017,
    )
]
