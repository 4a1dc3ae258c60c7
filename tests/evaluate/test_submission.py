"""Submission files: what is refused, and that nothing is written then."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from evaluate.submission import Layout, check_rows, write_submission
from internvl.errors import InputError

LAYOUT = Layout({"id": int, "answer": str}, key="id")


def test_rows_are_written_as_they_are(tmp_path: Path) -> None:
    rows = [{"id": 2, "answer": "café"}, {"id": 1, "answer": ""}]
    write_submission(tmp_path, rows, LAYOUT, wanted=(1, 2))
    text = (tmp_path / "submission.json").read_text(encoding="utf-8")
    assert json.loads(text) == rows
    assert "café" in text
    assert [path.name for path in tmp_path.iterdir()] == ["submission.json"]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"id": 1}, "expected the keys id, answer in row 2, got id; get the data again"),
        ({"id": 1, "answer": "", "more": 1}, "expected the keys id, answer in row 2, got id, answer, more;"),
        ({}, "expected the keys id, answer in row 2, got none;"),
        ({"id": "1", "answer": ""}, "expected int as id in row 2, got '1'; get the data again"),
        ({"id": True, "answer": ""}, "expected int as id in row 2, got True;"),
        ({"id": 1, "answer": None}, "expected str as answer in row 2, got None;"),
        ({"id": 0, "answer": ""}, "expected each id once, got 0 again; get the data again"),
        ({"id": 5, "answer": ""}, r"expected the ids of the whole set, got 2 missing or unknown \(1, 5\); predict all"),
    ],
)
def test_rows_that_a_server_refuses_are_named_and_not_written(
    tmp_path: Path, row: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=rf"submission\.json: {message}"):
        write_submission(tmp_path, [{"id": 0, "answer": "x"}, row], LAYOUT, wanted=(0, 1))
    assert list(tmp_path.iterdir()) == []


def test_layout_without_a_key_takes_equal_rows_and_any_annotation() -> None:
    check_rows([{"answer": "x", "annotation": None}] * 2, Layout({"answer": str, "annotation": object}))
    check_rows([], LAYOUT)
