"""TextVQA: questions with and without OCR tokens, and answers in the layout of VQA."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.evaluate.originals import load, refuse, show, write

QUESTIONS, TOKENS = "data/textvqa/TextVQA_0.5.1_val.json", "data/textvqa/TextVQA_Rosetta_OCR_v0.2_val.json"
PROMPT = " Answer the question using a single word or phrase."
READ = {"00aa": ["DAKOTA", "DIGITAL"], "00bb": []}


def list_data() -> list[dict[str, Any]]:
    return [
        {
            "question": f"what is on {image}?",
            "image_id": image,
            "question_id": 34602 + number,
            "answers": ["nous", *["dakota"] * 5, *["dakota digital"] * 4],
            "set_name": "val",
        }
        for number, image in enumerate(READ)
    ]


def write_textvqa(root: Path, data: list[dict[str, Any]]) -> None:
    write(root, QUESTIONS, {"dataset_type": "val", "dataset_name": "textvqa", "data": data})
    tokens = [{"image_id": image, "ocr_tokens": words, "ocr_info": []} for image, words in READ.items()]
    write(root, TOKENS, {"dataset_name": "textvqa", "data": tokens[::-1]})


def test_tokens_stand_behind_the_questions_that_are_asked_with_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_textvqa(tmp_path, list_data())
    samples = load(tmp_path, "vqa-textvqa-val")
    assert [show(sample) for sample in samples] == [
        ("00aa.jpg", f"what is on 00aa?\nReference OCR token: DAKOTA, DIGITAL{PROMPT}"),
        ("00bb.jpg", f"what is on 00bb?\nReference OCR token: {PROMPT}"),
    ]
    assert samples[1].target.answers == tuple(list_data()[1]["answers"])
    assert "the request for a short answer is not known" in capsys.readouterr().err
    plain = load(tmp_path, "vqa-textvqa-val-later")
    assert show(plain[0]) == ("00aa.jpg", f"what is on 00aa?{PROMPT}")
    assert [sample.id for sample in plain] == ["34602", "34603"]


def test_files_for_the_script_of_vqa_have_what_it_reads(tmp_path: Path) -> None:
    write_textvqa(tmp_path, list_data())
    load(tmp_path, "vqa-textvqa-val-later")
    asked, said = (
        json.loads((tmp_path / f"data/textvqa/textvqa_val_{kind}.json").read_text())
        for kind in ("questions", "annotations")
    )
    assert asked["questions"][0] == {"image_id": "00aa", "question": "what is on 00aa?", "question_id": 34602}
    assert {"info", "task_type", "data_type", "data_subtype", "license"} < asked.keys()
    first = said["annotations"][0]
    assert first["multiple_choice_answer"] == "dakota"
    assert [answer["answer_id"] for answer in first["answers"]] == list(range(1, 11))
    assert {"question_type", "answer_type", "image_id"} < first.keys()


def test_wrong_numbers_of_answers_and_unread_pictures_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = list_data()
    data[1]["answers"].pop()
    write_textvqa(tmp_path, data)
    told = refuse(tmp_path, "vqa-textvqa-val", capsys)
    assert told.count(f"error: {QUESTIONS}: data 2: expected ten answers, got 9; get the file again\n") == 3
    write_textvqa(tmp_path, [{**row, "image_id": "00cc"} for row in list_data()])
    told = refuse(tmp_path, "vqa-textvqa-val", capsys, made=2)
    assert f"{QUESTIONS}: data 1: expected tokens of picture 00cc in {TOKENS}, got none" in told
