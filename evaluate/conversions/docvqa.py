"""DocVQA and InfographicVQA: a line per entry of the annotations, with all accepted answers where they are known."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from evaluate.conversion import Conversion, Original, Row
from evaluate.original import read_list


def list_questions(annotations: Path, *, image: str, folder: str, answered: bool) -> Iterator[Row]:
    """Every question.

    Args:
        annotations: the file.
        image: key that names the picture.
        folder: that the pictures are relative to.
        answered: whether the right answers are known.
    """
    for entry in read_list(annotations, "data"):
        yield {
            "image": f"{folder}/{entry.text(image)}",
            "question": entry.text("question"),
            "question_id": entry.number("questionId"),
            **({"answer": entry.texts("answers")} if answered else {}),
        }


_DOCUMENTS = "https://datasets.cvc.uab.es/rrc/DocVQA"
_REGISTER = "# https://rrc.cvc.uab.es/?ch=17 (registration), into data/infographicsvqa"
_INFO = "data/infographicsvqa"


def _convert_documents(split: str, size: int, *names: str) -> Conversion:
    command = f"(mkdir -p data/docvqa && cd data/docvqa && wget {_DOCUMENTS}/{split}.tar.gz && tar xzf {split}.tar.gz)"
    folder = f"data/docvqa/{split}"
    return Conversion(
        f"data/docvqa/{split}.jsonl",
        (Original(f"{folder}/{names[0]}", command, tuple(f"{folder}/{name}" for name in names[1:])),),
        partial(list_questions, image="image", folder=folder, answered=split == "val"),
        key=("question_id",),
        size=size,
    )


def _convert_infographics(split: str, size: int, name: str) -> Conversion:
    pictures = f"{_INFO}/infographicsvqa_images"
    return Conversion(
        f"{_INFO}/{split}.jsonl",
        (Original(f"{_INFO}/{name}", _REGISTER),),
        partial(list_questions, image="image_local_name", folder=pictures, answered=split == "val"),
        key=("question_id",),
        size=size,
    )


CONVERSIONS = [
    _convert_documents("val", 5349, "val_v1.0.json", "val_v1.0_withQT.json"),
    _convert_documents("test", 5188, "test_v1.0.json"),
    _convert_infographics("val", 2801, "infographicsVQA_val_v1.0_withQT.json"),
    _convert_infographics("test", 3288, "infographicsVQA_test_v1.0.json"),
]
