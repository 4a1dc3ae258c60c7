"""Questions with ten human answers each: both files, and a score by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from evaluate.benchmark import find
from evaluate.demo.files import write_json
from evaluate.demo.vqa import WRITERS, annotate
from evaluate.human_answers import HumanAnswers, read_vqa_targets
from internvl.errors import InputError
from tests.evaluate.outcome import answer_all

ANNOTATIONS = "data/okvqa/mscoco_val2014_annotations.json"


def write(root: Path, *rows: Any) -> Path:
    write_json(root / ANNOTATIONS, {"annotations": list(rows)})
    return root / ANNOTATIONS


def test_answers_types_and_ids_are_read(tmp_path: Path) -> None:
    first = annotate(7, "red", question_type="what", answer_type="other")
    second = {**annotate(0, "blue"), "question_id": "08"}
    targets = read_vqa_targets(write(tmp_path, first, second))
    assert list(targets) == ["7", "08"]
    assert targets["7"].answers == ("red",) * 7 + ("other", "another", "")
    assert (targets["7"].question_type, targets["7"].answer_type) == ("what", "other")
    assert (targets["08"].question_type, targets["08"].answer_type, targets["08"].annotators) == ("", "", ())


def test_unanimous_people_count_without_an_identity_of_theirs(tmp_path: Path) -> None:
    row = annotate(7, "red")
    row["answers"] = [{"answer": "red", "answer_confidence": "yes"}] * 10
    scorer = HumanAnswers("mine").scorer()
    assert scorer is not None
    targets = [*read_vqa_targets(write(tmp_path, row)).values()]
    assert scorer(["red"], targets).metrics["accuracy"] == 100


@pytest.mark.parametrize(
    "content",
    ['{"annotations": [', "[]", "{}", '{"annotations": {}}', '{"annotations": null}'],
    ids=["cut", "list", "no key", "object", "null"],
)
def test_annotations_of_another_layout_are_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(InputError, match=r"a\.json: expected .*get the file again$") as caught:
        read_vqa_targets(tmp_path / "a.json")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"answers": [{"answer": "red"}] * 10}, "expected `question_id` and `answers` in annotation 2, got"),
        ({"question_id": 1}, "expected `question_id` and `answers` in annotation 2, got"),
        ({"question_id": 1, "answers": None}, "expected `question_id` and `answers` in annotation 2, got"),
        ({"question_id": 1, "answers": ["red"] * 10}, "expected `question_id` and `answers` in annotation 2, got"),
        ({"question_id": 1, "answers": [{"raw": 0}] * 10}, "expected `question_id` and `answers` in annotation 2, got"),
        ("text", "expected `question_id` and `answers` in annotation 2, got text"),
        (None, "expected `question_id` and `answers` in annotation 2, got None"),
        ({"question_id": 1, "answers": []}, "expected ten answers for question 1, got 0"),
        ({"question_id": 1, "answers": [{"answer": "red"}] * 11}, "expected ten answers for question 1, got 11"),
        (annotate(7, "blue"), "expected unique questions, got 7 twice"),
    ],
)
def test_annotation_that_is_wrong_is_named(tmp_path: Path, row: Any, message: str) -> None:
    with pytest.raises(InputError, match=rf"annotations\.json: {message}.*; get the file again$"):
        read_vqa_targets(write(tmp_path, annotate(7, "red"), row))


def test_question_without_annotation_is_named(tmp_path: Path) -> None:
    WRITERS["vqa-okvqa-val"](tmp_path)
    write(tmp_path, annotate(42_000, "red"))
    [benchmark] = find("vqa-okvqa-val")
    with pytest.raises(
        InputError, match=r"okvqa_val\.jsonl:2: expected question 42001 in .*annotations\.json, got none"
    ):
        benchmark.samples(tmp_path)


def test_question_that_comes_twice_is_named(tmp_path: Path) -> None:
    WRITERS["vqa-okvqa-val"](tmp_path)
    path = tmp_path / "data/okvqa/okvqa_val.jsonl"
    path.write_text(path.read_text().replace("42001", "42000"))
    [benchmark] = find("vqa-okvqa-val")
    with pytest.raises(InputError, match="vqa-okvqa-val: expected unique ids, got '42000' twice"):
        benchmark.load(tmp_path)


def test_result_file_and_scores_are_the_published_ones(tmp_path: Path) -> None:
    outcome = answer_all("vqa-okvqa-val", tmp_path, _1="other", _3="Yes.")
    # Seven of ten said the right answer, one the other; a model's answer is cleaned.
    assert outcome.scores is not None
    assert outcome.scores.samples == pytest.approx([1, 0.3, 1, 1, 1])
    assert outcome.metrics["accuracy/question_type=eight"] == outcome.metrics["accuracy"] == pytest.approx(86)
    assert outcome.rows[-1] == {
        "question": "What color is the car? Answer the question using a single word or phrase.",
        "question_id": 42_000,
        "answer": "red",
    }
    assert json.dumps(outcome.rows[0]["question"], ensure_ascii=True).startswith('"\\u8fd9')
