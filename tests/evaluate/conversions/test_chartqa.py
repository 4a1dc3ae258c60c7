"""ChartQA: both halves, with answers as they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.evaluate.originals import load, refuse, show, write

FOLDER = "data/chartqa/ChartQA Dataset/test"
ROWS = [
    {"imgname": "1.png", "query": "How many?", "label": "14"},
    {"imgname": "1.png", "query": "What share?", "label": 0.5},
]


def test_questions_count(tmp_path: Path) -> None:
    write(tmp_path, f"{FOLDER}/test_human.json", ROWS)
    samples = load(tmp_path, "vqa-chartqa-test-human")
    assert [sample.id for sample in samples] == ["0", "1"]
    assert samples[0].prompt.images == (tmp_path / FOLDER / "png/1.png",)
    assert [sample.target for sample in samples] == [("14",), ("0.5",)]
    assert show(samples[1])[1] == "What share? Answer the question using a single word or phrase."


def test_halves_are_files_of_their_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, f"{FOLDER}/test_augmented.json", [*ROWS, {"imgname": "1.png", "query": "?", "label": None}])
    told = refuse(tmp_path, "vqa-chartqa-test-augmented", capsys)
    assert told.endswith(
        "test_augmented.json: entry 3: expected a text or a number as `label`, got None; get the file again\n"
    )
