"""GQA test-dev: a line per question of the authors' file, which has them by id."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from evaluate.conversion import Conversion, Original, Row
from evaluate.original import read_table

_SOURCE = "https://downloads.cs.stanford.edu/nlp/data/gqa/questions1.2.zip"
_FILE = "testdev_balanced_questions.json"


def list_questions(annotations: Path) -> Iterator[Row]:
    """Every question, under its id of digits."""
    for name, entry in read_table(annotations).items():
        yield {
            "image": f"data/gqa/images/{entry.text('imageId')}.jpg",
            "question": entry.text("question"),
            "question_id": name,
            "answer": entry.text("answer"),
        }


CONVERSIONS = [
    Conversion(
        "data/gqa/llava_gqa_testdev_balanced_qwen_format.jsonl",
        (
            Original(
                f"data/gqa/{_FILE}",
                f"(mkdir -p data/gqa && cd data/gqa && wget {_SOURCE} && unzip questions1.2.zip {_FILE})",
            ),
        ),
        list_questions,
        key=("question_id",),
        size=12_578,
        note="whether the published questions end with the request for a short answer is not known; these do not, so "
        "that the model reads it once",
    )
]
