"""VQAv2 and OK-VQA: the questions of the VQA authors' files joined with their answers, a line each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

from evaluate.conversion import Conversion, Original, Row
from evaluate.original import Entry, find_answer, index_entries, read_list
from internvl.errors import InputError


def join(questions: Path, annotations: Path, *, image: str) -> Iterator[Row]:
    """Every question with the answer that most people gave.

    Args:
        questions: file of the questions.
        annotations: file of the answers.
        image: path of a picture, with a place for its number.
    """
    answers = index_entries(read_list(annotations, "annotations"), "question_id")
    for entry in read_list(questions, "questions"):
        answered = answers.pop(entry.number("question_id"), None)
        if answered is None:
            raise InputError(
                f"{entry.where}: expected answers to question {entry.number('question_id')} in {annotations}, got "
                "none; get both files again"
            )
        yield _show(entry, image) | {"answer": _find_answer(answered)}
    if answers:
        first = next(iter(answers.values()))
        raise InputError(f"{first.where}: expected a question in {questions} for it, got none; get both files again")


def list_questions(questions: Path, *, image: str) -> Iterator[Row]:
    """Every question of a set whose answers only a server knows."""
    return (_show(entry, image) for entry in read_list(questions, "questions"))


def number_answers(answers: Iterable[Row]) -> list[Row]:
    """Answers with ids from 1: the published scorer tells equal answers of several people apart by them."""
    return [{**answer, "answer_id": number} for number, answer in enumerate(answers, start=1)]


def make_head(source: str) -> Row:
    """What the evaluation script of the VQA authors looks for beside the questions."""
    return {
        "info": {"description": f"made from {source}"},
        "task_type": "Open-Ended",
        "data_type": "mscoco",
        "data_subtype": "val",
        "license": {},
    }


def _show(entry: Entry, image: str) -> dict[str, str | int]:
    return {
        "image": image.format(entry.number("image_id")),
        "question": entry.text("question"),
        "question_id": entry.number("question_id"),
    }


def _find_answer(entry: Entry) -> str:
    if "multiple_choice_answer" in entry.values:
        return entry.text("multiple_choice_answer")
    return find_answer(entry, [answer.text("answer") for answer in entry.entries("answers")])


def _name_original(name: str, address: str) -> Original:
    folder, archive = name.rpartition("/")[0], address.rpartition("/")[2]
    return Original(name, f"(mkdir -p {folder} && cd {folder} && wget {address} && unzip {archive})")


_VQA = "https://s3.amazonaws.com/cvmlp/vqa/mscoco/vqa"
_OKVQA = "https://okvqa.allenai.org/static/data"
_COCO = "COCO_{0}_{{:012}}.jpg"
CONVERSIONS = [
    Conversion(
        "data/vqav2/vqav2_val.jsonl",
        (
            _name_original(
                "data/vqav2/v2_OpenEnded_mscoco_val2014_questions.json", f"{_VQA}/v2_Questions_Val_mscoco.zip"
            ),
            _name_original("data/vqav2/v2_mscoco_val2014_annotations.json", f"{_VQA}/v2_Annotations_Val_mscoco.zip"),
        ),
        partial(join, image=f"data/vqav2/val2014/{_COCO.format('val2014')}"),
        key=("question_id",),
        size=214_354,
    ),
    Conversion(
        "data/vqav2/vqav2_testdev.jsonl",
        (
            _name_original(
                "data/vqav2/v2_OpenEnded_mscoco_test-dev2015_questions.json", f"{_VQA}/v2_Questions_Test_mscoco.zip"
            ),
        ),
        partial(list_questions, image=f"data/vqav2/test2015/{_COCO.format('test2015')}"),
        key=("question_id",),
        size=107_394,
    ),
    Conversion(
        "data/okvqa/okvqa_val.jsonl",
        tuple(
            _name_original(f"data/okvqa/{name}.json", f"{_OKVQA}/{name}.json.zip")
            for name in ("OpenEnded_mscoco_val2014_questions", "mscoco_val2014_annotations")
        ),
        partial(join, image=f"data/okvqa/val2014/{_COCO.format('val2014')}"),
        key=("question_id",),
        size=5046,
    ),
]
