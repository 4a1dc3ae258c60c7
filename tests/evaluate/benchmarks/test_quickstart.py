"""The quickstart benchmark: prompts, targets and rule."""

from __future__ import annotations

from pathlib import Path

import pytest

from evaluate.benchmark import find
from evaluate.sample import Generation
from internvl.errors import InputError
from tests.evaluate.questions import FOLDER, write_questions


def test_row_becomes_a_sample_with_its_picture_in_front(tmp_path: Path) -> None:
    [benchmark] = find("quickstart")
    first, second, *_ = benchmark.load(write_questions(tmp_path, 4))
    assert (first.id, first.target, first.info) == ("000-0", "red", {"kind": "color"})
    assert first.prompt.turns[-1].text == "<image>\nWhat color is it?"
    assert first.prompt.images == (tmp_path / FOLDER / "images/000.png",)
    assert first.prompt.source == f"{tmp_path / FOLDER}/held_out.jsonl:1"
    assert first.cluster == second.cluster


def test_any_number_of_questions_is_allowed(tmp_path: Path) -> None:
    [benchmark] = find("quickstart")
    assert len(benchmark.load(write_questions(tmp_path, 3))) == 3


def test_rule_is_exact_match_and_answers_are_short(tmp_path: Path) -> None:
    [benchmark] = find("quickstart")
    scorer = benchmark.scorer()
    assert scorer is not None
    assert scorer(["Red ", "a red one"], ["red", "red"]).metrics == {"accuracy": 50.0}
    assert benchmark.generation == Generation(max_new_tokens=8)


def test_row_without_an_answer_is_named(tmp_path: Path) -> None:
    file = write_questions(tmp_path, 2) / FOLDER / "held_out.jsonl"
    file.write_text(file.read_text() + '{"id": "x", "image": "images/000.png", "question": "?", "kind": "color"}\n')
    [benchmark] = find("quickstart")
    with pytest.raises(InputError, match=r"held_out\.jsonl:3: expected the keys .*, got no answer"):
        benchmark.load(tmp_path)
