"""Answers of another tool: keys it may use, and what does not fit is counted and named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from evaluate.answers import Answers, read_answers
from evaluate.sample import Prediction, Sample
from internvl.conversation import Conversation
from internvl.errors import InputError, MissingError

SAMPLES = [Sample(name, Conversation.ask("Why?"), "so") for name in ("1", "2", "3")]


def read(tmp_path: Path, *rows: Any) -> Answers:
    path = tmp_path / "answers.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return read_answers(path, SAMPLES)


def test_keys_of_several_tools_are_read_and_samples_give_the_order(tmp_path: Path) -> None:
    rows = {"question_id": 3, "answer": "c"}, {"id": "1", "text": "a", "answer": "x"}, {"id": 2, "prediction": "b"}
    answers = read(tmp_path, *rows)
    assert answers.predictions == (Prediction("1", "a"), Prediction("2", "b"), Prediction("3", "c"))
    assert answers.describe() == ""


def test_error_without_a_text_is_an_answer_that_says_why_there_is_none(tmp_path: Path) -> None:
    answers = read(tmp_path, {"id": "1", "error": "no picture"}, {"id": "2", "text": "", "error": None})
    assert answers.predictions == (Prediction("1", "", "no picture"), Prediction("2", ""))
    assert answers.missing == ("3",)


def test_missing_doubled_and_unknown_are_counted_and_named(tmp_path: Path) -> None:
    rows = [{"id": name, "text": "a"} for name in ("1", "1", "2", "x", "y", "z", "w", "x")]
    answers = read(tmp_path, *rows, {"id": "2", "text": "b"})
    assert [prediction.id for prediction in answers.predictions] == ["1"], "of two different answers none is taken"
    assert answers.describe() == "2 missing (2, 3), 2 doubled (1, 2), 4 unknown (x, y, z, ...)"


@pytest.mark.parametrize("row", [{"text": "a"}, {"id": "1"}, {"id": None, "text": "a"}, {"id": "1", "text": 3}, "a"])
def test_other_lines_are_refused_with_their_place(tmp_path: Path, row: Any) -> None:
    with pytest.raises(InputError, match=r"answers\.jsonl:1: expected id or question_id and a text as text or answer"):
        read(tmp_path, row)


def test_file_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="nothing: expected a run folder or a file of answers"):
        read_answers(tmp_path / "nothing", SAMPLES)
