"""DocVQA and InfographicVQA: small sets in the published layouts, and the files that script and server take."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from evaluate.benchmark import find
from evaluate.benchmarks.docvqa import list_groups, read_anls_targets
from evaluate.demo.files import write_json
from evaluate.demo.vqa import WRITERS
from internvl.errors import InputError
from tests.evaluate.outcome import answer_all


def test_right_answers_come_from_the_published_file(tmp_path: Path) -> None:
    outcome = answer_all("vqa-docvqa-val", tmp_path, _0="res")
    assert outcome.samples[1].target.answers == (" 2", "far away")
    # The right answer has a space in front: one wrong of four, and not of three.
    assert outcome.scores is not None
    assert outcome.scores.samples == (0.75, 1.0, 1.0, 1.0, 1.0)
    assert outcome.metrics == {"anls": 95}
    assert outcome.rows[-2] == {
        "question": " Answer the question using a single word or phrase.",
        "questionId": 42_001,
        "answer": " 2",
        "annotation": ["2", "other"],
    }


def test_infographics_are_scored_per_type(tmp_path: Path) -> None:
    outcome = answer_all("vqa-infovqa-val", tmp_path)
    groups = ("answer_type=Image-Span", "evidence=Map", "evidence=Text")
    assert outcome.metrics == {"anls": 100} | {f"anls/{group}": 100 for group in groups}
    assert list_groups({"evidence": ["hologram"]}) == ("evidence=hologram",)


@pytest.mark.parametrize("name", ["vqa-docvqa-test", "vqa-infovqa-test"])
def test_upload_has_numbers_and_answers_alone(tmp_path: Path, name: str) -> None:
    outcome = answer_all(name, tmp_path)
    assert outcome.scores is None
    assert outcome.rows[-1] == {"questionId": 42_000, "answer": "12 %"}
    assert len(outcome.rows) == 5


def test_id_that_the_server_does_not_take_is_named_before_the_run(tmp_path: Path) -> None:
    WRITERS["vqa-docvqa-test"](tmp_path)
    path = tmp_path / "data/docvqa/test.jsonl"
    path.write_text(path.read_text().replace("42002", '"42002"'))
    [benchmark] = find("vqa-docvqa-test")
    with pytest.raises(InputError, match=r"test\.jsonl:3: expected a whole number as question_id, got '42002'"):
        benchmark.samples(tmp_path)


def test_question_without_right_answers_is_named(tmp_path: Path) -> None:
    WRITERS["vqa-docvqa-val"](tmp_path)
    write_json(tmp_path / "data/docvqa/val/val_v1.0.json", {"dataset_name": "docVQA", "data": []})
    [benchmark] = find("vqa-docvqa-val")
    with pytest.raises(InputError, match=r"val\.jsonl:1: expected question 42000 in .*val_v1\.0\.json, got none"):
        benchmark.samples(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], "expected an object with `dataset_name` and `data`, got another"),
        ({"data": []}, "expected an object with `dataset_name` and `data`, got another"),
        ({"dataset_name": "x", "data": ["y"]}, "expected `questionId` and `answers` in entry 1, got y"),
        ({"dataset_name": "x", "data": [{"questionId": 1}]}, "expected `questionId` and `answers` in entry 1, got"),
        ({"dataset_name": "x", "data": [{"questionId": 1, "answers": [2]}]}, "expected `questionId` and `answers` in"),
        ({"dataset_name": "x", "data": [{"questionId": 1, "answers": []}]}, "expected at least one answer, got"),
        ({"dataset_name": "x", "data": [{"questionId": 1, "answers": ["a"]}] * 2}, "expected unique questions, got"),
    ],
)
def test_right_answers_of_another_layout_are_named(tmp_path: Path, content: Any, message: str) -> None:
    write_json(tmp_path / "a.json", content)
    with pytest.raises(InputError, match=rf"a\.json: {message}.*; get the file again$"):
        read_anls_targets(tmp_path / "a.json")


def test_sizes_settings_and_protocols_are_the_published_ones() -> None:
    found = find("vqa-docvqa-val,vqa-docvqa-test,vqa-infovqa-val,vqa-infovqa-test")
    assert [b.size for b in found] == [5349, 5188, 2801, 3288]
    assert {b.generation.max_new_tokens for b in found} == {100}
    assert [b.protocol for b in found] == ["internvl-v1.2"] * 2 + ["internvl-later"] * 2
