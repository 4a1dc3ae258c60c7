"""ChartQA: a line per question of each half of the test set."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from evaluate.conversion import Conversion, Original, Row
from evaluate.original import read_list

_FOLDER = "data/chartqa/ChartQA Dataset/test"
_SOURCE = "https://drive.google.com/file/d/1Lm_w6zeET1Hyl_9ks6w5nEsgpoyPHalV/view"


def list_questions(annotations: Path) -> Iterator[Row]:
    """Every question; its number in the file, from 0, is its id."""
    for number, entry in enumerate(read_list(annotations)):
        yield {
            "image": f"{_FOLDER}/png/{entry.text('imgname')}",
            "question": entry.text("query"),
            "question_id": number,
            "answer": entry.word("label"),
        }


CONVERSIONS = [
    Conversion(
        f"data/chartqa/test_{half}.jsonl",
        (
            Original(
                f"{_FOLDER}/test_{half}.json",
                f"# {_SOURCE}, unpacked into data/chartqa, so that `{_FOLDER}` is there",
            ),
        ),
        list_questions,
        key=("image", "question"),
        size=1250,
        note="the ids of the published file are not known; these count from 0 in the order of the annotations",
    )
    for half in ("human", "augmented")
]
