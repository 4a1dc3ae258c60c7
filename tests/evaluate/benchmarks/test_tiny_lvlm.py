"""Tiny LVLM-eHub: prompts against tests/golden/prompts.json, a small set in the official layout, and one run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from evaluate.__main__ import main
from evaluate.benchmark import find
from evaluate.benchmarks.tiny_lvlm import TinyLVLM
from evaluate.demo.files import write_json
from evaluate.demo.tiny_lvlm import ANSWERS, FOLDER, list_questions, write_tiny_lvlm
from evaluate.report import read_report
from evaluate.sample import Generation
from evaluate.scorers.word_match import ABILITIES
from internvl.errors import InputError


@pytest.mark.golden("prompts")
def test_prompts_equal_the_published_ones(family: dict[str, Any], tmp_path: Path) -> None:
    cases = [case for case in family["cases"] if case["input"].get("benchmark") == "tiny_lvlm"]
    rows = [{**list_questions()[0], "question": case["input"]["record"]["question"]} for case in cases]
    write_json(write_tiny_lvlm(tmp_path) / FOLDER / ABILITIES[0] / "dataset.json", rows)
    samples = TinyLVLM("tiny_lvlm").samples(tmp_path)
    expected = ["<image>\n" + case["expected"]["question"] for case in cases]
    assert [sample.prompt.turns[0].text for sample in samples[: len(cases)]] == expected


def test_name_size_and_settings_are_the_published_ones() -> None:
    [benchmark] = find("tiny_lvlm")
    assert (benchmark.size, benchmark.generation) == (2450, Generation(max_new_tokens=30))
    assert len(benchmark.files) == 5


def test_answers_of_the_small_set_score_as_by_hand(tmp_path: Path) -> None:
    samples = TinyLVLM("tiny_lvlm").load(write_tiny_lvlm(tmp_path))
    assert samples[3].id == "Visual_Perception/1"
    assert samples[3].prompt.images == (tmp_path / FOLDER / "Visual_Perception/1.jpg",)
    scores = TinyLVLM("tiny_lvlm").scorer()(ANSWERS, [sample.target for sample in samples])
    assert scores.samples == (1.0, 0.0, 1.0, 1.0, 1.0, 0.0, 1.0, 0.0, 1.0, 1.0)
    assert (scores.metrics["overall"], scores.num_unparsed) == (350.0, 1)


def test_run_writes_score_and_published_file(tmp_path: Path) -> None:
    root, output = write_tiny_lvlm(tmp_path), tmp_path / "out"
    command = ["fake:yes", "tiny_lvlm", "--root", str(root), "--output", str(output), "--devices", "1", "--allow-size"]
    assert main(command) == 0
    [folder] = output.glob("*/tiny_lvlm")
    assert read_report(folder)["score"] == 100.0
    rows = json.loads((folder / "submission.json").read_text())
    assert rows[2] == {
        "question": "What is number 2? Answer the question using a single word or phrase.",
        "answer": "yes",
        "gt_answers": ["tower", "paris"],
        "image_path": f"{FOLDER}/Visual_Perception/0.jpg",
        "task_type": "Visual_Perception",
    }


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, "expected a list of questions"),
        (["What?"], "question 1: expected texts as image_path and question"),
        ([{"image_path": "0.jpg", "gt_answers": "a"}], "question 1: expected texts as image_path and question"),
        (
            [{"image_path": "0.jpg", "question": "?", "gt_answers": 3}],
            "question 1: expected a text or texts as gt_answers",
        ),
        ([{"image_path": "0.jpg", "question": "?"}], "question 1: expected a text or texts as gt_answers, got None"),
    ],
)
def test_file_of_another_layout_is_named(tmp_path: Path, content: Any, message: str) -> None:
    write_json(write_tiny_lvlm(tmp_path) / FOLDER / ABILITIES[1] / "dataset.json", content)
    with pytest.raises(InputError) as caught:
        TinyLVLM("tiny_lvlm").load(tmp_path)
    assert f"{ABILITIES[1]}/dataset.json: {message}" in str(caught.value)
    assert str(caught.value).endswith("; get the file again")
