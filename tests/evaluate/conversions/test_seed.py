"""SEED-Bench: the questions about pictures, worded as the published ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from evaluate.demo.seed import ANSWERS, list_answers
from tests.evaluate.originals import load, refuse, show, write


def test_pictures_are_asked_about_and_videos_are_not(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, str(ANSWERS), {"questions": list_answers(), "question_type": {}})
    samples = load(tmp_path, "seed")
    pictures = [row for row in list_answers() if row["data_type"] == "image"]
    assert [sample.id for sample in samples] == [str(row["question_id"]) for row in pictures]
    assert [sample.target.answer for sample in samples] == [row["answer"] for row in pictures]
    assert samples[0].prompt.images == (tmp_path / "data/SEED/SEED-Bench-image/0",)
    letter = "Answer with the option's letter from the given choices directly."
    assert show(samples[0])[1] == (
        f"How many towels are in picture 0?\nA. 0 – 0\nB. 1 – 0\nC. 2 – 0\nD. 3 – 0\n{letter}"
    )
    assert "whether the published file asks about videos" in capsys.readouterr().err


def test_a_question_without_an_option_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = list_answers()
    del rows[2]["choice_d"]
    write(tmp_path, str(ANSWERS), {"questions": rows})
    told = refuse(tmp_path, "seed", capsys)
    assert told == (
        f"error: {ANSWERS}: questions 3: expected a text or a number as `choice_d`, got no `choice_d`; "
        "get the file again\n"
    )
