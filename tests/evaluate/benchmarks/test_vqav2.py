"""VQAv2: a small set in the published layout, and the file that the server takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from evaluate.benchmark import find
from evaluate.benchmarks.vqav2 import read_ids
from evaluate.demo.files import write_json
from evaluate.demo.vqa import WRITERS
from internvl.errors import InputError
from tests.evaluate.outcome import answer_all

WHOLE = "data/vqav2/v2_OpenEnded_mscoco_test2015_questions.json"


def test_right_answers_are_right_under_every_protocol(tmp_path: Path) -> None:
    outcome = answer_all("vqa-vqav2-val", tmp_path)
    assert outcome.metrics == {
        "accuracy": 100,
        "accuracy@official": 100,
        "accuracy@internvl-later": 100,
        "accuracy/answer_type=yes/no": 100,
        "accuracy/question_type=what is the": 100,
    }
    assert outcome.samples[3].prompt.images == (tmp_path / "data/vqav2/val2014/COCO_val2014_000000000001.jpg",)


def test_upload_has_every_question_of_the_test_set_and_cleaned_answers(tmp_path: Path) -> None:
    outcome = answer_all("vqa-vqav2-testdev", tmp_path, _4="Two, dogs?")
    assert outcome.scores is None
    assert outcome.rows == [
        {"question_id": 7, "answer": ""},
        {"question_id": 42_004, "answer": "2 dogs"},
        *({"question_id": key, "answer": "red"} for key in (42_003, 42_002, 42_001, 42_000)),
        {"question_id": 9, "answer": ""},
    ]


def test_sizes_are_the_published_ones() -> None:
    assert [b.size for b in find("vqa-vqav2-val,vqa-vqav2-testdev")] == [214_354, 107_394]


def test_question_that_the_test_set_does_not_have_is_named(tmp_path: Path) -> None:
    WRITERS["vqa-vqav2-testdev"](tmp_path)
    write_json(tmp_path / WHOLE, {"questions": [{"question_id": 42_000}]})
    [benchmark] = find("vqa-vqav2-testdev")
    with pytest.raises(InputError, match=r"testdev\.jsonl:2: expected a question of .*questions\.json, got 42001; get"):
        benchmark.samples(tmp_path)


@pytest.mark.parametrize("content", [[], {}, {"questions": [{}]}, {"questions": [{"question_id": "7"}]}])
def test_questions_of_another_layout_are_named(tmp_path: Path, content: object) -> None:
    write_json(tmp_path / "q.json", content)
    with pytest.raises(InputError, match=r"q\.json: expected an object with `questions` that have whole numbers as"):
        read_ids(tmp_path / "q.json")
