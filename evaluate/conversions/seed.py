"""SEED-Bench: a line per question about a picture, worded as multiple choice."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from evaluate.choices import letter, word_question
from evaluate.conversion import Conversion, Original, Row
from evaluate.original import read_list

_SOURCE = "https://huggingface.co/datasets/AILab-CVC/SEED-Bench/resolve/main/SEED-Bench.json"


def list_questions(annotations: Path) -> Iterator[Row]:
    """Every question about a picture."""
    for entry in read_list(annotations, "questions"):
        if entry.text("data_type") != "image":
            continue
        options = letter(str(entry.word(f"choice_{name}")) for name in "abcd")
        yield {
            "image": f"SEED-Bench-image/{entry.word('data_id')}",
            "text": word_question(entry.text("question"), options),
            "question_id": str(entry.word("question_id")),
            "answer": entry.text("answer"),
        }


CONVERSIONS = [
    Conversion(
        "data/SEED/seed.jsonl",
        (Original("data/SEED/SEED-Bench.json", f"wget -P data/SEED {_SOURCE}"),),
        list_questions,
        key=("question_id",),
        size=14_232,
        note="whether the published file asks about videos, and how their frames are called, is not known; these are "
        "the questions about pictures, over which the headline is taken",
    )
]
