"""GQA: the questions of the authors' file, under their ids."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.evaluate.originals import load, refuse, show, write

FILE = "data/gqa/testdev_balanced_questions.json"


def list_questions() -> dict[str, dict[str, Any]]:
    row = {
        "question": "Is it red?",
        "answer": "yes",
        "imageId": "n161313",
        "isBalanced": True,
        "types": {"structural": "verify", "semantic": "attr", "detailed": "verifyAttr"},
        "semantic": [],
        "groups": {"global": None},
    }
    return {name: dict(row) for name in ("0201307251", "201640614")}


def test_ids_stay_texts_of_digits(tmp_path: Path) -> None:
    write(tmp_path, FILE, list_questions())
    samples = load(tmp_path, "vqa-gqa-testdev")
    assert [sample.id for sample in samples] == list(list_questions())
    assert show(samples[0]) == ("n161313.jpg", "Is it red? Answer the question using a single word or phrase.")
    assert samples[0].target.answer == "yes"


def test_a_question_without_a_picture_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = list_questions()
    content["201640614"]["imageId"] = 161313
    write(tmp_path, FILE, content)
    told = refuse(tmp_path, "vqa-gqa-testdev", capsys)
    assert told == f"error: {FILE}: entry '201640614': expected a text as `imageId`, got 161313; get the file again\n"
