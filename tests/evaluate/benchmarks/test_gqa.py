"""GQA: a small set in the published layout, and the file that the authors' script takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from evaluate.benchmark import find
from evaluate.benchmarks.gqa import read_gqa_target
from evaluate.demo.files import write_json
from evaluate.demo.vqa import WRITERS
from internvl.errors import InputError
from tests.evaluate.outcome import answer_all

ANNOTATIONS = "data/gqa/testdev_balanced_questions.json"


def test_answers_are_converted_and_scored_per_type(tmp_path: Path) -> None:
    outcome = answer_all("vqa-gqa-testdev", tmp_path, _0="the red", _3="wrong, and not balanced")
    assert outcome.scores is not None
    assert outcome.scores.samples == (0.0, 1.0, 1.0, None, 1.0)
    assert outcome.metrics == {
        "accuracy": 75,
        "accuracy/binary": 100,
        "accuracy/detailed=categoryThat": 75,
        "accuracy/open": pytest.approx(200 / 3),
        "accuracy/semantic=attr": 75,
        "accuracy/steps=1": 75,
        "accuracy/structural=query": pytest.approx(200 / 3),
        "accuracy/structural=verify": 100,
        "accuracy/words=4": 75,
        "distribution": 0,
    }
    assert outcome.rows[-2:] == [
        {"questionId": "0201308", "prediction": "2"},
        {"questionId": "0201307", "prediction": "the red"},
    ]


def test_question_that_the_published_file_does_not_have_is_named(tmp_path: Path) -> None:
    WRITERS["vqa-gqa-testdev"](tmp_path)
    [benchmark] = find("vqa-gqa-testdev")
    for content, message in (
        ({}, r"jsonl:1: expected question 0201307 in .*got none"),
        ([], "expected an object with"),
    ):
        write_json(tmp_path / ANNOTATIONS, content)
        with pytest.raises(InputError, match=message):
            benchmark.samples(tmp_path)


@pytest.mark.parametrize("row", [{}, {"answer": "x", "isBalanced": True, "types": None}, "text", None])
def test_question_of_another_layout_is_named(row: object) -> None:
    with pytest.raises(InputError, match=r"q: expected answer, isBalanced, types, question and semantic, got .*; get"):
        read_gqa_target(row, "q")


def test_published_size_and_group_are_named() -> None:
    [benchmark] = find("vqa-gqa-testdev")
    assert (benchmark.size, benchmark.groups, benchmark.generation.max_new_tokens) == (12_578, ("vqa",), 10)
