"""VizWiz: ids that count, answers that are told apart, and paths as ids of the test set."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.evaluate.originals import load, refuse, show, write

FOLDER = "data/vizwiz/annotations/"


def list_val() -> list[dict[str, Any]]:
    said = ["unanswerable"] * 6 + ["grey"] * 4
    return [
        {
            "image": f"VizWiz_val_0000000{number}.jpg",
            "question": ("What's this?", "Ok. There is another picture?")[number],
            "answers": [{"answer_confidence": "maybe", "answer": text} for text in said],
            "answer_type": "unanswerable",
            "answerable": 0,
        }
        for number in range(2)
    ]


def test_validation_questions_count_and_answers_have_ids(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, FOLDER + "val.json", list_val())
    samples = load(tmp_path, "vqa-vizwiz-val")
    assert [sample.id for sample in samples] == ["0", "1"]
    assert show(samples[0])[1].startswith("What's this? When the provided information is insufficient, respond with")
    assert samples[1].target.answers.count("unanswerable") == 6
    assert "count from 0" in capsys.readouterr().err
    said = json.loads((tmp_path / "data/vizwiz/vizwiz_val_annotations.json").read_text())["annotations"]
    assert [answer["answer_id"] for answer in said[1]["answers"]] == list(range(1, 11))
    assert said[1]["answers"][0] == {"answer_confidence": "maybe", "answer": "unanswerable", "answer_id": 1}
    asked = json.loads((tmp_path / "data/vizwiz/vizwiz_val_questions.json").read_text())["questions"]
    assert [row["question_id"] for row in asked] == [row["question_id"] for row in said] == [0, 1]


def test_test_questions_have_the_path_as_id(tmp_path: Path) -> None:
    # The archive may have been unpacked without a folder.
    write(tmp_path, "data/vizwiz/test.json", [{"image": "VizWiz_test_00000000.jpg", "question": "What is it?"}])
    [sample] = load(tmp_path, "vqa-vizwiz-test")
    assert sample.id == "data/vizwiz/test/VizWiz_test_00000000.jpg"
    assert sample.prompt.images == (tmp_path / sample.id,)


def test_another_layout_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, FOLDER + "val.json", {"annotations": []})
    assert f"{FOLDER}val.json: expected a list, got another layout" in refuse(tmp_path, "vqa-vizwiz-val", capsys)
    rows = list_val()
    rows[1]["answers"] = "unanswerable"
    write(tmp_path, FOLDER + "val.json", rows)
    told = refuse(tmp_path, "vqa-vizwiz-val", capsys, made=1)
    assert f"{FOLDER}val.json: entry 2: expected a list of objects as `answers`, got 'unanswerable'; get" in told
