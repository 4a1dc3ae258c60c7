"""MM-Vet: prompts against tests/golden/prompts.json, with and without the converted file, and grades by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evaluate.benchmarks.mmvet import BENCHMARKS, Mmvet
from evaluate.demo.files import write_rows
from evaluate.demo.mmvet import FOLDER, list_converted, list_questions, write_mmvet
from evaluate.judging import Verdict
from evaluate.rubrics.mmvet_grade import MmvetGrade
from evaluate.sample import Prediction
from internvl.errors import InputError
from tests.evaluate.verdicts import drive, read_words

SMALL = replace(BENCHMARKS[0], size=None)
CONVERTED = FOLDER / "llava-mm-vet.jsonl"


@pytest.mark.golden("prompts")
def test_prompts_equal_the_published_ones(family: dict[str, Any], tmp_path: Path) -> None:
    write_mmvet(tmp_path, 1)
    for case in [case for case in family["cases"] if case["input"].get("benchmark") == "mmvet"]:
        write_rows(tmp_path / CONVERTED, [{**list_converted(1)[0], "text": case["input"]["record"]["text"]}])
        assert SMALL.load(tmp_path)[0].prompt.turns[-1].text == "<image>\n" + case["expected"]["question"]


def test_both_files_give_the_same_samples_and_the_converted_one_the_order(tmp_path: Path) -> None:
    rebuilt = SMALL.load(write_mmvet(tmp_path))
    assert [sample.id for sample in rebuilt] == list("01234567")
    assert rebuilt[3].prompt.images == (tmp_path / FOLDER / "images" / "v1_2.png",)
    write_rows(tmp_path / CONVERTED, list_converted()[::-1])
    again = SMALL.load(tmp_path)
    assert [sample.id for sample in again] == list("76543210")
    pairs = zip(again[::-1], rebuilt, strict=True)
    assert all((a.prompt.turns, a.target, a.info) == (b.prompt.turns, b.target, b.info) for a, b in pairs)


def test_answers_are_graded_and_written_for_the_server(tmp_path: Path) -> None:
    samples = SMALL.load(write_mmvet(tmp_path))
    rubric = SMALL.rubric()
    verdicts: list[Verdict] = []
    for number, sample in enumerate(samples):
        verdict, requests = drive(rubric.grade(f"It is {number} | x", sample), f"0.{number}")
        verdicts.append(verdict)
    truth = read_words(requests[0])[0][1].splitlines()[-1]
    assert truth == "Name | all of it. | 14 | It is 7 | x | "
    metrics = SMALL.scorer()(verdicts, [sample.target for sample in samples]).metrics
    assert metrics["score"] == pytest.approx(35)
    assert metrics["score/capability=ocr"] == pytest.approx(100 * (0 + 0.3 + 0.4 + 0.7) / 4)
    assert metrics["score/combination=math_ocr_spat"] == pytest.approx(50)
    SMALL.submission([Prediction(sample.id, f"é {sample.id}") for sample in samples], samples, tmp_path)
    content = json.loads((tmp_path / "submission.json").read_text(encoding="utf-8"))
    assert list(content.items())[:2] == [("v1_0", "é 0"), ("v1_1", "é 1")]
    assert Mmvet("mine", runs=5).rubric() == MmvetGrade(runs=5)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (list_converted()[:-1], r"llava-mm-vet\.jsonl: expected the 8 questions of mm-vet\.json, got 7"),
        ([{**list_converted()[0], "image": "v1_6.png"}], r"jsonl:1: expected a question of .*, got v1_0 with .*v1_6"),
        ([{**list_converted()[0], "question_id": "v1_0"}], r"jsonl:1: expected a number as question_id"),
        ([{**list_converted()[0], "question_id": 99}], r"jsonl:1: expected a question of .*, got v1_99"),
    ],
)
def test_converted_files_that_do_not_fit_are_named(tmp_path: Path, rows: list[Any], message: str) -> None:
    write_rows(write_mmvet(tmp_path) / CONVERTED, rows)
    with pytest.raises(InputError, match=message):
        SMALL.load(tmp_path)


@pytest.mark.parametrize(
    "change", [{"capability": ["smell"]}, {"capability": []}, {"answer": None}, {"capability": "ocr"}]
)
def test_questions_that_do_not_fit_are_named(tmp_path: Path, change: dict[str, Any]) -> None:
    content = {"v1_0": {**list_questions(1)["v1_0"], **change}}
    (write_mmvet(tmp_path, 1) / FOLDER / "mm-vet.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"mm-vet\.json: expected texts as imagename, .* for v1_0"):
        SMALL.load(tmp_path)


def test_archive_unpacked_one_folder_too_deep_is_told(tmp_path: Path) -> None:
    write_mmvet(tmp_path, 1)
    nested = tmp_path / FOLDER / "mm-vet"
    nested.mkdir()
    (tmp_path / FOLDER / "mm-vet.json").rename(nested / "mm-vet.json")
    with pytest.raises(InputError, match=r"mmvet: expected mm-vet\.json and images in .*, got them one folder deeper"):
        SMALL.load(tmp_path)
    (nested / "mm-vet.json").write_text("[]")
    (nested / "mm-vet.json").rename(tmp_path / FOLDER / "mm-vet.json")
    with pytest.raises(InputError, match="expected an object of questions, got list"):
        SMALL.load(tmp_path)
