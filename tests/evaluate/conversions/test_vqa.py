"""VQAv2 and OK-VQA: questions joined with answers, and test-dev without any."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from evaluate.demo.vqa import annotate
from tests.evaluate.originals import load, read_lines, refuse, show, write

QUESTIONS = "data/vqav2/v2_OpenEnded_mscoco_val2014_questions.json"
ANNOTATIONS = "data/vqav2/v2_mscoco_val2014_annotations.json"


def list_questions() -> list[dict[str, Any]]:
    texts = ("What is it?", "¿Qué es?\u2028")
    return [{"image_id": 42, "question": text, "question_id": 420 + place} for place, text in enumerate(texts)]


def write_vqav2(root: Path, *answers: dict[str, Any]) -> None:
    write(root, QUESTIONS, {"info": {}, "task_type": "Open-Ended", "questions": list_questions()})
    write(root, ANNOTATIONS, {"info": {}, "license": {}, "annotations": list(answers)})


def test_vqav2_is_joined_by_question(tmp_path: Path) -> None:
    types = {"question_type": "what is", "answer_type": "other"}
    write_vqav2(tmp_path, *(annotate(key, "red", multiple_choice_answer="RED", **types) for key in (421, 420)))
    samples = load(tmp_path, "vqa-vqav2-val")
    prompt = " Answer the question using a single word or phrase."
    assert [show(s) for s in samples] == [
        ("COCO_val2014_000000000042.jpg", row["question"] + prompt) for row in list_questions()
    ]
    assert [sample.target.answers.count("red") for sample in samples] == [7, 7]
    rows = read_lines(tmp_path, "data/vqav2/vqav2_val.jsonl")
    assert [(row["question_id"], row["answer"]) for row in rows] == [(420, "RED"), (421, "RED")]


def test_okvqa_takes_the_answer_of_most_people(tmp_path: Path) -> None:
    folder = "data/okvqa/"
    write(tmp_path, folder + "OpenEnded_mscoco_val2014_questions.json", {"questions": list_questions()})
    rows = [annotate(key, "race", question_type="one", answer_type="other") for key in (420, 421)]
    write(tmp_path, folder + "mscoco_val2014_annotations.json", {"annotations": rows})
    assert [sample.info["question_id"] for sample in load(tmp_path, "vqa-okvqa-val")] == [420, 421]
    assert {row["answer"] for row in read_lines(tmp_path, folder + "okvqa_val.jsonl")} == {"race"}


def test_test_dev_has_no_answers(tmp_path: Path) -> None:
    whole = "data/vqav2/v2_OpenEnded_mscoco_{}2015_questions.json"
    write(tmp_path, whole.format("test-dev"), {"questions": list_questions()})
    write(tmp_path, whole.format("test"), {"questions": list_questions()})
    samples = load(tmp_path, "vqa-vqav2-testdev")
    assert show(samples[0])[0] == "COCO_test2015_000000000042.jpg"
    assert "answer" not in read_lines(tmp_path, "data/vqav2/vqav2_testdev.jsonl")[0]


def test_questions_and_answers_that_do_not_fit_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_vqav2(tmp_path, annotate(420, "red"))
    told = refuse(tmp_path, "vqa-vqav2-val", capsys)
    assert told == (
        f"error: {QUESTIONS}: questions 2: expected answers to question 421 in {ANNOTATIONS}, got none; "
        "get both files again\n"
    )
    write_vqav2(tmp_path, *(annotate(key, "red") for key in (420, 421, 422)))
    assert "annotations 3: expected a question in" in refuse(tmp_path, "vqa-vqav2-val", capsys)
    write_vqav2(tmp_path, *(annotate(key, "red") for key in (420, 420)))
    assert "annotations 2: expected `question_id` once, got 420 again" in refuse(tmp_path, "vqa-vqav2-val", capsys)
