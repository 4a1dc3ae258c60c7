"""POPE: the label files one after the other, with the request for a short answer."""

from __future__ import annotations

from pathlib import Path

import pytest

from evaluate.demo.files import write_rows
from evaluate.demo.pope import CATEGORIES, PROMPT, label_file, list_labels
from tests.evaluate.originals import load, read_lines, refuse, show, write


def write_labels(root: Path) -> None:
    for category in CATEGORIES:
        write_rows(root / label_file(category), list_labels(category))


def test_categories_follow_each_other_and_ids_count_on(tmp_path: Path) -> None:
    write_labels(tmp_path)
    samples = load(tmp_path, "pope-later")
    wanted = [(row, category) for category in CATEGORIES for row in list_labels(category)]
    assert [show(sample) for sample in samples] == [(row["image"], row["text"] + PROMPT) for row, _ in wanted]
    assert [(s.target.positive, s.target.category) for s in samples] == [(r["label"] == "yes", c) for r, c in wanted]
    rows = read_lines(tmp_path, "data/pope/llava_pope_test.jsonl")
    assert [row["question_id"] for row in rows] == list(range(1, 19))


def test_a_label_without_its_picture_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_labels(tmp_path)
    file = str(label_file("popular"))
    write(tmp_path, file, '{"image": "1.jpg", "text": "?", "label": "no"}\n{"text": "?"}\n')
    told = refuse(tmp_path, "pope", capsys)
    assert told == f"error: {file}:2: expected the keys image, text, label, got no image; get the file again\n"
