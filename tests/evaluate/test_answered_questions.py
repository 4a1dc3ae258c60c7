"""Questions with the accepted answers on the same line."""

from __future__ import annotations

from pathlib import Path

import pytest

from evaluate.answered_questions import AnsweredQuestions
from evaluate.demo.vqa import write_answered
from internvl.errors import InputError


def test_answer_on_the_line_is_the_target_and_another_one_is_wrong(tmp_path: Path) -> None:
    benchmark = AnsweredQuestions("mine", questions="data/q.jsonl", prompt="Say it.")
    answers = write_answered(tmp_path, path="data/q.jsonl", image="data/{}.png", answers=("red", ["a", "b"], 3))
    samples = benchmark.load(tmp_path)
    assert [sample.target for sample in samples] == [("red",), ("a", "b"), ("3",), ("red",), ("a", "b")]
    assert samples[0].prompt.turns[0].text == "<image>\nWhat color is the car? Say it."
    scorer = benchmark.scorer()
    assert scorer is not None
    assert scorer([answers["0"], "B", "three"], [s.target for s in samples[:3]]).samples == (1.0, 1.0, 0.0)


def test_line_without_an_answer_is_named(tmp_path: Path) -> None:
    write_answered(tmp_path, path="q.jsonl", image="{}.png", answers=("red", None))
    with pytest.raises(InputError, match=r"q\.jsonl:2: expected a text or a list of texts as answer, got None"):
        AnsweredQuestions("mine", questions="q.jsonl").samples(tmp_path)
