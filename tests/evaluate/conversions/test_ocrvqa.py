"""OCR-VQA: covers of a split, with the suffix that the authors' downloader gives them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.evaluate.originals import load, prepare, read_lines, refuse, show, write

FILE = "data/ocrvqa/dataset.json"


def list_books() -> dict[str, dict[str, Any]]:
    return {
        f"000{split}": {
            "imageURL": f"http://ecx.images-amazon.com/images/I/51.{('jpg', 'gif', 'png')[split - 1]}",
            "questions": ["Who wrote it?", "Is it a book?"],
            "answers": ["Nobody", "Yes"],
            "title": "T",
            "split": split,
        }
        for split in (3, 1, 2)
    }


def test_splits_are_numbers(tmp_path: Path) -> None:
    write(tmp_path, FILE, list_books())
    samples = load(tmp_path, "vqa-ocrvqa-val")
    prompt = " Answer the question using a single word or phrase."
    assert [show(s) for s in samples] == [("0002.gif", f"{q}{prompt}") for q in ("Who wrote it?", "Is it a book?")]
    assert [sample.target for sample in samples] == [("Nobody",), ("Yes",)]
    assert prepare(tmp_path, "vqa-ocrvqa-test") == 0
    images = [row["image"] for row in read_lines(tmp_path, "data/ocrvqa/ocrvqa_test.jsonl")]
    assert images == ["data/ocrvqa/images/0003.png"] * 2


def test_missing_answers_and_splits_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = list_books()
    content["0002"]["answers"].pop()
    write(tmp_path, FILE, content)
    told = refuse(tmp_path, "vqa-ocrvqa-val", capsys)
    assert f"{FILE}: entry '0002': expected an answer to each of 2 questions, got 1; get the file again" in told
    del content["0002"]
    write(tmp_path, FILE, content)
    told = refuse(tmp_path, "vqa-ocrvqa-val", capsys)
    assert told == f"error: {FILE}: expected rows for data/ocrvqa/ocrvqa_val.jsonl, got none; get the file again\n"
