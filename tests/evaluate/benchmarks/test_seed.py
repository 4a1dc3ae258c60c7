"""SEED-Bench: prompts against tests/golden/prompts.json, a small set in the official layout, and a score by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from evaluate.benchmarks.seed import Seed
from evaluate.demo.files import write_rows
from evaluate.demo.seed import ANSWERS, QUESTIONS, list_answers, write_seed
from evaluate.report import read_report
from evaluate.score_command import main
from internvl.errors import InputError


@pytest.mark.golden("prompts")
def test_prompts_equal_the_published_ones(family: dict[str, Any], tmp_path: Path) -> None:
    write_seed(tmp_path)
    for case in [case for case in family["cases"] if case["input"].get("benchmark") == "seed"]:
        row = {"image": "a", "text": case["input"]["record"]["text"], "question_id": 101669, "answer": "A"}
        write_rows(tmp_path / QUESTIONS, [row])
        [sample] = Seed("seed").samples(tmp_path)
        assert sample.prompt.turns[-1].text == "<image>\n" + case["expected"]["question"]


def test_answers_score_as_computed_by_hand(tmp_path: Path) -> None:
    samples = Seed("seed").load(write_seed(tmp_path))
    assert [sample.target.question_type for sample in samples] == [*range(1, 13)]
    write_rows(tmp_path / "mine.jsonl", [{"id": sample.id, "text": "A. One"} for sample in samples])
    command = [str(tmp_path / "mine.jsonl"), "--benchmark", "seed", "--root", str(tmp_path)]
    assert main([*command, "--output", str(tmp_path / "out")]) == 0
    report = read_report(tmp_path / "out" / "mine" / "seed")
    assert report["score"] == pytest.approx(100 / 3)  # types 1, 5 and 9 of nine
    assert report["metrics"]["accuracy/Text Understanding"] == 100.0
    lines = (tmp_path / "out" / "mine" / "seed" / "submission.jsonl").read_text().splitlines()
    assert json.loads(lines[0]) == {"question_id": "101669", "prediction": "A"}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"question_id": 1}, "in question 2, got"),
        ({**list_answers()[1], "answer": "E"}, "expected a letter from A to D and a type from 1 to 12 in question 2"),
        ({**list_answers()[1], "question_type_id": 13}, "in question 2, got 'B' and 13; get"),
        ({**list_answers()[1], "question_id": 7}, r"seed\.jsonl:2: expected question 101670 in .*json, got none"),
    ],
)
def test_answers_of_another_layout_are_named(tmp_path: Path, row: dict[str, Any], message: str) -> None:
    rows = list_answers()
    (write_seed(tmp_path) / ANSWERS).write_text(json.dumps({"questions": [rows[0], row, *rows[2:]]}))
    with pytest.raises(InputError, match=message):
        Seed("seed").load(tmp_path)


def test_other_files_are_named(tmp_path: Path) -> None:
    write_seed(tmp_path)
    write_rows(tmp_path / QUESTIONS, [{"image": 5, "text": "a", "question_id": 101669}])
    with pytest.raises(InputError, match=r"seed\.jsonl:1: expected texts as image and text"):
        Seed("seed").load(tmp_path)
    (tmp_path / ANSWERS).write_text("[]")
    with pytest.raises(InputError, match=r"SEED-Bench\.json: expected an object with `questions`"):
        Seed("seed").load(tmp_path)
