"""OCR-VQA: a line per question about the covers of a split."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import count
from pathlib import Path, PurePosixPath

from evaluate.conversion import Conversion, Original, Row
from evaluate.original import read_table
from internvl.errors import InputError

_SOURCE = "https://ocr-vqa.github.io/kvqa_ProjectFiles/README.txt"
_SPLITS = {"val": 2, "test": 3}


def list_questions(annotations: Path, *, split: int) -> Iterator[Row]:
    """Every question of a split; its number, from 0, is its id."""
    numbers = count()
    for name, entry in read_table(annotations).items():
        if entry.number("split") != split:
            continue
        questions, answers = entry.texts("questions"), entry.texts("answers")
        if len(questions) != len(answers):
            raise InputError(
                f"{entry.where}: expected an answer to each of {len(questions)} questions, got {len(answers)}; "
                "get the file again"
            )
        # The authors' downloader names a picture by its entry and the suffix of its address.
        suffix = PurePosixPath(entry.text("imageURL")).suffix
        for question, answer in zip(questions, answers, strict=True):
            yield {
                "image": f"data/ocrvqa/images/{name}{suffix}",
                "question": question,
                "question_id": next(numbers),
                "answer": answer,
            }


CONVERSIONS = [
    Conversion(
        f"data/ocrvqa/ocrvqa_{split}.jsonl",
        (Original("data/ocrvqa/dataset.json", f"# {_SOURCE}, dataset.json into data/ocrvqa"),),
        partial(list_questions, split=number),
        key=("image", "question"),
        note="the ids of the published file are not known; these count from 0 in the order of the annotations",
    )
    for split, number in _SPLITS.items()
]
