"""TextVQA 0.5.1: the questions, with and without OCR tokens, and both files of the layout of VQA."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from evaluate.conversion import Conversion, Original, Row
from evaluate.conversions.vqa import make_head, number_answers
from evaluate.original import Entry, find_answer, index_entries, read_list
from internvl.errors import InputError

TOKENS = "\nReference OCR token: "


def list_questions(annotations: Path) -> Iterator[Row]:
    """Every question with the answer that most people gave."""
    return map(_show, read_list(annotations, "data"))


def list_questions_with_tokens(annotations: Path, tokens: Path) -> Iterator[Row]:
    """The same, with what Rosetta read in the picture behind the question."""
    read = index_entries(read_list(tokens, "data"), "image_id")
    for entry in read_list(annotations, "data"):
        found = read.get(entry.text("image_id"))
        if found is None:
            raise InputError(
                f"{entry.where}: expected tokens of picture {entry.text('image_id')} in {tokens}, got none; "
                "get both files again"
            )
        row = _show(entry)
        yield row | {"question": f"{row['question']}{TOKENS}{', '.join(found.texts('ocr_tokens'))}"}


def list_plain_questions(annotations: Path) -> dict[str, Iterator[Row]]:
    """The questions in the layout of VQA."""
    keys = ("image_id", "question", "question_id")
    rows = ({**_show(entry), "image_id": entry.text("image_id")} for entry in read_list(annotations, "data"))
    return {"questions": ({key: row[key] for key in keys} for row in rows)}


def list_answers(annotations: Path) -> dict[str, Iterator[Row]]:
    """The answers in the layout of VQA; TextVQA has no types of questions."""
    return {"annotations": map(_show_answers, read_list(annotations, "data"))}


def _show(entry: Entry) -> dict[str, str | int]:
    return {
        "image": f"data/textvqa/train_images/{entry.text('image_id')}.jpg",
        "question": entry.text("question"),
        "question_id": entry.number("question_id"),
        "answer": find_answer(entry, entry.texts("answers")),
    }


def _show_answers(entry: Entry) -> Row:
    answers = entry.texts("answers")
    return {
        "question_id": entry.number("question_id"),
        "image_id": entry.text("image_id"),
        "question_type": "",
        "answer_type": "",
        "multiple_choice_answer": find_answer(entry, answers),
        "answers": number_answers({"answer": text, "answer_confidence": "yes"} for text in answers),
    }


def _name_original(file: str) -> Original:
    command = f"wget -P data/textvqa https://dl.fbaipublicfiles.com/textvqa/data/{file}"
    return Original(f"data/textvqa/{file}", command)


_QUESTIONS = _name_original("TextVQA_0.5.1_val.json")
_TOKENS = _name_original("TextVQA_Rosetta_OCR_v0.2_val.json")
_KEY = ("question_id",)
CONVERSIONS = [
    Conversion("data/textvqa/textvqa_val.jsonl", (_QUESTIONS,), list_questions, key=_KEY, size=5000),
    Conversion(
        "data/textvqa/textvqa_val_llava.jsonl",
        (_QUESTIONS, _TOKENS),
        list_questions_with_tokens,
        key=_KEY,
        size=5000,
        note="whether the published questions end with the request for a short answer is not known; these do not, so "
        "that the model reads it once",
    ),
    Conversion(
        "data/textvqa/textvqa_val_annotations.json",
        (_QUESTIONS,),
        list_answers,
        key=_KEY,
        size=5000,
        note="types of questions and answers in the published file are not known; these have none, so that no score is "
        "broken down by them",
    ),
    Conversion(
        "data/textvqa/textvqa_val_questions.json",
        (_QUESTIONS,),
        list_plain_questions,
        key=_KEY,
        size=5000,
        head=make_head("TextVQA 0.5.1"),
        beside="data/textvqa/textvqa_val_annotations.json",
    ),
]
