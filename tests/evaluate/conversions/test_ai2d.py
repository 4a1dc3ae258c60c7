"""AI2D: the questions of the test pictures, each with its options."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.evaluate.originals import load, refuse, show, write

FOLDER, IDS = "data/ai2diagram/ai2d/questions", "data/ai2diagram/ai2d_test_ids.csv"
PROMPT = " Please answer the question based on the options mentioned before."


def write_ai2d(root: Path, right: Any = 1) -> None:
    for picture in (2, 10, 11):
        question = {
            "abcLabel": False,
            "answerTexts": ["lion", "rabbit", "hawk"],
            "correctAnswer": right,
            "questionId": f"{picture}.png-0",
        }
        content = {"imageName": f"{picture}.png", "questions": {f"Which is {picture}?": question}}
        write(root, f"{FOLDER}/{picture}.png.json", content)
    write(root, IDS, "10\n2\n7\n")


def test_test_pictures_are_asked_in_order_with_their_options(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_ai2d(tmp_path)
    samples = load(tmp_path, "vqa-ai2d-test")
    assert [show(sample) for sample in samples] == [
        (f"{picture}.png", f"Which is {picture}? \n options: lion, rabbit, hawk{PROMPT}") for picture in (2, 10)
    ]
    assert [(sample.id, sample.target) for sample in samples] == [("2.png-0", ("rabbit",)), ("10.png-0", ("rabbit",))]
    assert "the text between question and options" in capsys.readouterr().err


def test_wrong_answers_layouts_and_ids_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_ai2d(tmp_path, right=3)
    told = refuse(tmp_path, "vqa-ai2d-test", capsys)
    assert f"{FOLDER}/2.png.json: question 1: expected a place in `answerTexts` from 0 to 2, got 3; get" in told
    write(tmp_path, f"{FOLDER}/2.png.json", {"questions": []})
    told = refuse(tmp_path, "vqa-ai2d-test", capsys)
    assert f"{FOLDER}/2.png.json: expected an object with `questions` by text, got another layout; get" in told
    write(tmp_path, IDS, "image\n10\nlion\n")
    assert f"{IDS}:3: expected the number of a picture, got 'lion'; get" in refuse(tmp_path, "vqa-ai2d-test", capsys)
    write(tmp_path, IDS, "中文\n10\n".encode("gbk"))
    assert f"{IDS}: expected text in UTF-8, got" in refuse(tmp_path, "vqa-ai2d-test", capsys)
