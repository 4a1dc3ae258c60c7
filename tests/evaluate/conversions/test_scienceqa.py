"""ScienceQA: the problems of the test split that have pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.evaluate.originals import load, refuse, show, write

FOLDER = "data/scienceqa"


def write_scienceqa(root: Path, **more: Any) -> None:
    problems = {
        name: {
            "question": f"Which is {name}?",
            "choices": ["Maine", "Ohio"],
            "answer": 1,
            "hint": "Look." if name == "5" else "",
            "image": None if name == "7" else "image.png",
            "split": "test",
            **more,
        }
        for name in ("4", "5", "7", "11")
    }
    write(root, f"{FOLDER}/problems.json", problems)
    write(root, f"{FOLDER}/pid_splits.json", {"train": ["4"], "val": [], "test": ["11", "5", "7"]})


def test_problems_with_pictures_come_in_the_order_of_the_split(tmp_path: Path) -> None:
    write_scienceqa(tmp_path)
    samples = load(tmp_path, "scienceqa")
    folder = tmp_path / FOLDER / "images/test"
    assert [sample.prompt.images[0] for sample in samples] == [folder / "11/image.png", folder / "5/image.png"]
    letter = "Answer with the option's letter from the given choices directly."
    assert show(samples[1])[1] == f"Look.\nWhich is 5?\nA. Maine\nB. Ohio\n{letter}"
    assert samples[1].target.answer == "B"


def test_wrong_answers_and_unknown_problems_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_scienceqa(tmp_path, answer="1")
    told = refuse(tmp_path, "scienceqa", capsys)
    assert f"{FOLDER}/problems.json: entry '11': expected a whole number as `answer`, got '1'; get the file" in told
    write(tmp_path, f"{FOLDER}/pid_splits.json", {"test": ["12"]})
    told = refuse(tmp_path, "scienceqa", capsys)
    assert f"pid_splits.json: expected problems of {FOLDER}/problems.json, got '12'; get both files again" in told
    write(tmp_path, f"{FOLDER}/pid_splits.json", ["12"])
    assert "pid_splits.json: expected a list of texts as `test`, got no `test`" in refuse(tmp_path, "scienceqa", capsys)
