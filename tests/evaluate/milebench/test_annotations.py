"""Annotation files of MileBench: what is read, and what is refused with its place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from evaluate.milebench.annotations import read_questions
from internvl.errors import InputError


def make_row(instance: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    row = {
        "sample_id": 3,
        "task_instruction_id": 1,
        "task_instance": {"context": "{image#1}?", "images_path": ["a.jpg"]} | (instance or {}),
        "response": 5,
        "image_quantity_level": "Few",
    } | changes
    return {name: value for name, value in row.items() if value != "left out"}


def write(folder: Path, *rows: Any, **meta: Any) -> Path:
    path = folder / "TQA.json"
    content = {"meta_data": {"task_instruction": ["Look", "Read"], "question_type": "open-ended"} | meta, "data": rows}
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


@pytest.mark.parametrize("instructions", [["Look", "Read"], {"0": "Look", "1": "Read"}])
def test_instructions_are_a_list_or_an_object(tmp_path: Path, instructions: Any) -> None:
    row = make_row({"choice_list": ["x", 7], "combined_1_images": ["3-0.jpg"]})
    kind, [question] = read_questions(write(tmp_path, row, task_instruction=instructions))
    assert kind == "open-ended"
    assert (question.number, question.instruction, question.answer) == (3, "Read", "5")
    assert (question.choices, question.combined, question.pictures) == (("x", "7"), ("3-0.jpg",), ("a.jpg",))
    assert question.where.endswith("TQA.json: item 1")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (7, "expected an object with `task_instance`, an object, got 7"),
        (make_row(task_instance=[]), "expected an object with `task_instance`, an object, got"),
        (make_row(sample_id="x"), "expected a whole number as `sample_id`, got 'x'"),
        (make_row(sample_id=True), "expected a whole number as `sample_id`, got True"),
        (make_row(task_instruction_id=2), "expected a `task_instruction_id` among 0, 1, got 2"),
        (make_row(task_instruction_id=-1), "expected a `task_instruction_id` among 0, 1, got -1"),
        (make_row(task_instruction_id="left out"), "expected a `task_instruction_id` among 0, 1, got None"),
        (make_row(response=None), "expected a text or a number as `response`, got None"),
        (make_row(image_quantity_level="left out"), "expected `image_quantity_level`, got none"),
        (make_row({"context": None}), "expected a text as `context`, got None"),
        (make_row({"images_path": []}), "expected pictures in `images_path`, got none"),
        (make_row({"images_path": "a.jpg"}), "expected a list of file names as `images_path`, got a.jpg"),
        (make_row({"images_path": [""]}), "expected a list of file names as `images_path`, got ['']"),
        (make_row({"choice_list": [None]}), "expected a list of texts as `choice_list`, got [None]"),
        (make_row({"combined_1_images": 1}), "expected a list of file names as `combined_1_images`, got 1"),
    ],
)
def test_broken_rows_are_told_with_their_place(tmp_path: Path, row: Any, message: str) -> None:
    path = write(tmp_path, make_row(), row)
    with pytest.raises(InputError) as caught:
        read_questions(path)
    assert str(caught.value).startswith(f"{path}: item 2: {message}")
    assert str(caught.value).endswith("; get the file again")


@pytest.mark.parametrize(
    ("meta", "message"),
    [
        ({"question_type": None}, "expected a text as `question_type` in `meta_data`, got None"),
        ({"task_instruction": []}, "expected texts as `task_instruction` in `meta_data`, a list or by number, got []"),
        ({"task_instruction": {"0": 1}}, "expected texts as `task_instruction` in `meta_data`"),
        ({"task_instruction": "Look"}, "expected texts as `task_instruction` in `meta_data`"),
    ],
)
def test_broken_heads_are_told(tmp_path: Path, meta: dict[str, Any], message: str) -> None:
    path = write(tmp_path, make_row(), **meta)
    with pytest.raises(InputError) as caught:
        read_questions(path)
    assert str(caught.value).startswith(f"{path}: {message}")


@pytest.mark.parametrize("content", [[], {"data": []}, {"meta_data": {}, "data": {}}, 7])
def test_other_contents_are_told(tmp_path: Path, content: Any) -> None:
    (tmp_path / "TQA.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"TQA\.json: expected an object with `meta_data` and a list as `data`"):
        read_questions(tmp_path / "TQA.json")
