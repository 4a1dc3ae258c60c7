"""VizWiz: questions and answers in the layout of VQA, with ids that the original annotations do not have."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from evaluate.conversion import Conversion, Original, Row
from evaluate.conversions.vqa import make_head, number_answers
from evaluate.original import Entry, find_answer, read_list


def list_questions(annotations: Path) -> Iterator[Row]:
    """Every question with the answer that most people gave; its number in the file, from 0, is its id."""
    for number, entry in enumerate(read_list(annotations)):
        answer = find_answer(entry, [answer.text("answer") for answer in entry.entries("answers")])
        yield {
            "image": f"data/vizwiz/val/{entry.text('image')}",
            "question": entry.text("question"),
            "question_id": number,
            "answer": answer,
        }


def list_plain_questions(annotations: Path) -> dict[str, Iterator[Row]]:
    """The questions in the layout of VQA."""
    rows = (
        {"image_id": entry.text("image"), "question": entry.text("question"), "question_id": number}
        for number, entry in enumerate(read_list(annotations))
    )
    return {"questions": rows}


def list_answers(annotations: Path) -> dict[str, Iterator[Row]]:
    """The answers in the layout of VQA."""
    return {"annotations": (_show_answers(entry, number) for number, entry in enumerate(read_list(annotations)))}


def list_test_questions(annotations: Path) -> Iterator[Row]:
    """The questions of the test set; the path of a picture is the id."""
    for entry in read_list(annotations):
        image = f"data/vizwiz/test/{entry.text('image')}"
        yield {"image": image, "question": entry.text("question"), "question_id": image}


def _show_answers(entry: Entry, number: int) -> Row:
    answers = entry.entries("answers")
    return {
        "question_id": number,
        "image_id": entry.text("image"),
        "question_type": "",
        "answer_type": entry.text("answer_type"),
        "multiple_choice_answer": find_answer(entry, [answer.text("answer") for answer in answers]),
        "answers": number_answers(answer.values for answer in answers),
    }


def _name_original(file: str) -> tuple[Original]:
    address = "https://vizwiz.cs.colorado.edu/VizWiz_final/vqa_data/Annotations.zip"
    folder = "data/vizwiz/annotations"
    command = f"(mkdir -p {folder} && cd {folder} && wget {address} && unzip -j Annotations.zip)"
    return (Original(f"{folder}/{file}", command, (f"data/vizwiz/Annotations/{file}", f"data/vizwiz/{file}")),)


_VAL = _name_original("val.json")
_NOTE = (
    "ids and types of questions in the published file are not known; ids count from 0 in the order of the annotations, "
    "and there are no types"
)
CONVERSIONS = [
    Conversion("data/vizwiz/vizwiz_val.jsonl", _VAL, list_questions, key=("image", "question"), size=4319, note=_NOTE),
    Conversion("data/vizwiz/vizwiz_val_annotations.json", _VAL, list_answers, key=("image_id",), size=4319, note=_NOTE),
    Conversion(
        "data/vizwiz/vizwiz_val_questions.json",
        _VAL,
        list_plain_questions,
        key=("image_id", "question"),
        size=4319,
        head=make_head("the annotations of VizWiz"),
        beside="data/vizwiz/vizwiz_val_annotations.json",
    ),
    Conversion(
        "data/vizwiz/vizwiz_test.jsonl",
        _name_original("test.json"),
        list_test_questions,
        key=("question_id",),
        size=8000,
    ),
]
