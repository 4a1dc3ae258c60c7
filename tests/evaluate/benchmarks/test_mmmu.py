"""MMMU: prompts against tests/golden/prompts.json, small splits in the official layout, and a score by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evaluate.benchmark import Benchmark, find
from evaluate.benchmarks.mmmu import Mmmu
from evaluate.demo.files import write_rows
from evaluate.demo.mmmu import FOLDER, list_rows, write_mmmu, write_table
from evaluate.demo.pictures import draw
from evaluate.report import read_report
from evaluate.sample import Prediction
from evaluate.score_command import main
from evaluate.scorers.mmmu import SUBJECTS
from internvl.errors import InputError, MissingError
from tests.evaluate.stored_pictures import read_stored

FIRST = FOLDER / SUBJECTS[0] / "validation-00000-of-00001.parquet"


def take(name: str) -> Benchmark:
    """A benchmark for any number of samples."""
    [benchmark] = find(name)
    return replace(benchmark, size=None)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A validation and a test set of two questions per subject."""
    folder = tmp_path_factory.mktemp("mmmu")
    write_mmmu(folder)
    return write_mmmu(folder, "test")


@pytest.mark.golden("prompts")
def test_prompts_equal_the_published_ones(family: dict[str, Any], tmp_path: Path) -> None:
    write_mmmu(tmp_path)
    rows = list_rows(SUBJECTS[0], "validation", 1)
    for case in [case for case in family["cases"] if case["input"].get("benchmark") == "mmmu"]:
        write_table(tmp_path / FIRST, [{**rows[0], **case["input"]["record"]}])
        for name, key in (("mmmu-val", "question"), ("mmmu-val-later", "later_question")):
            sample = take(name).samples(tmp_path)[0]
            assert sample.prompt.turns[-1].text == "<image>\n" + case["expected"][key]
            assert sample.target.options == case["expected"]["options"]


def test_names_splits_and_settings_are_the_published_ones() -> None:
    found = find("mmmu-dev,mmmu-val,mmmu-test,mmmu-val-later,mmmu-val-multi-image")
    sizes = [(150, 100), (900, 100), (10_500, 100), (900, 10), (900, 100)]
    assert [(b.size, b.generation.max_new_tokens) for b in found] == sizes
    assert [b.scorer() is None for b in found] == [False, False, True, False, False]


def test_pictures_stand_first_or_where_their_marks_are(root: Path, tmp_path: Path) -> None:
    one, every = take("mmmu-val").load(root)[0], take("mmmu-val-multi-image").load(root)[0]
    assert (one.id, one.target.subject) == ("validation_Accounting_1", "Accounting")
    assert read_stored(one) == [draw(1, "PNG")]
    assert one.prompt.turns[-1].text.startswith(
        "<image>\n and <image 2>: which is it, 0?\nA. <image 3>\nB. the other's\n"
    )
    assert every.prompt.turns[-1].text.startswith("<image> and <image>: which is it, 0?\nA. <image>\nB. the other's\n")
    assert read_stored(every) == [draw(number, "PNG") for number in (1, 2, 3)]
    # A picture without a mark stands before the text, one that is marked twice is shown twice.
    rows = list_rows(SUBJECTS[0], "validation", 1)
    write_mmmu(tmp_path)
    write_table(tmp_path / FIRST, [{**rows[0], "question": "<image 2> or <image 2>?"}])
    every = take("mmmu-val-multi-image").samples(tmp_path)[0]
    assert every.prompt.turns[-1].text.startswith("<image>\n<image> or <image>?\nA. <image>")
    assert read_stored(every) == [draw(number, "PNG") for number in (1, 2, 2, 3)]


def test_answers_score_as_computed_by_hand(root: Path, tmp_path: Path) -> None:
    samples = take("mmmu-val").load(root)
    rows = [{"id": s.id, "text": "(B)" if s.target.options else "So x is 3.4299"} for s in samples]
    rows[0]["text"] = "the other's"
    rows[3]["text"] = "nobody knows"
    write_rows(tmp_path / "mine.jsonl", rows)
    command = [str(tmp_path / "mine.jsonl"), "--benchmark", "mmmu-val", "--root", str(root), "--allow-size"]
    assert main([*command, "--output", str(tmp_path)]) == 0
    report = read_report(tmp_path / "mine" / "mmmu-val")
    # All open questions but one; of the choices only the text of an option is read, and `(B)` by the official rule.
    assert report["score"] == pytest.approx(100 * 30 / 60)
    assert report["metrics"]["accuracy_official"] == pytest.approx(100 * 58 / 60)
    assert report["metrics"]["accuracy_official_expected"] == pytest.approx(100 * (58 + 1 / 3) / 60)
    assert report["metrics"]["accuracy/subject=Accounting"] == 100.0
    assert (
        json.loads((tmp_path / "mine" / "mmmu-val" / "submission.json").read_text())["validation_Accounting_1"] == "B"
    )


def test_test_set_becomes_a_file_for_the_server(root: Path, tmp_path: Path) -> None:
    benchmark = take("mmmu-test")
    samples = benchmark.load(root)
    assert len(samples) == 60
    assert {sample.target for sample in samples} == {None}
    answers = [Prediction(sample.id, "B. two" if sample.info["options"] else "π ≈ 3") for sample in samples]
    benchmark.submission(answers[::-1], samples, tmp_path)
    rows = json.loads((tmp_path / "submission.json").read_text(encoding="utf-8"))
    assert list(rows.items())[:2] == [("test_Accounting_1", "B"), ("test_Accounting_2", "π ≈ 3")]
    with pytest.raises(
        InputError, match="submission: expected an answer to every sample, got none to test_Accounting_1;"
    ):
        benchmark.submission(answers[1:], samples, tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"options": "__import__('os').getcwd()"}, r"parquet:1: expected a list in the text, got \"__import__"),
        ({"options": "('a', 'b')"}, "expected a list in the text"),
        ({"options": "[]"}, "expected options for a multiple-choice question and for no other, got 0"),
        ({"question_type": "open"}, "expected options for a multiple-choice question and for no other, got 3"),
        ({"answer": "D"}, "expected the letter of an option as answer, got 'D'"),
        ({"question": None}, "expected texts as id, question, options, answer, question_type, got others"),
        ({"image_1": None}, "parquet:1: expected a picture, got NoneType"),
    ],
)
def test_rows_that_do_not_fit_are_named(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    write_table(tmp_path / FIRST, [{**list_rows(SUBJECTS[0], "validation", 1)[0], **change}])
    with pytest.raises(InputError, match=message):
        Mmmu("mmmu-val").samples(tmp_path)


def test_missing_pictures_and_subjects_are_named(tmp_path: Path) -> None:
    write_table(tmp_path / FIRST, [{**list_rows(SUBJECTS[0], "validation", 1)[0], "image_3": None}])
    with pytest.raises(InputError, match="expected the picture image_3, got none"):
        take("mmmu-val-multi-image").samples(tmp_path)
    with pytest.raises(MissingError, match=r"Agriculture: expected validation-00000-of-.*, which does not exist"):
        take("mmmu-val").load(tmp_path)
    (tmp_path / FOLDER / "README.md").write_text("# MMMU\n", encoding="utf-8")
    with pytest.raises(MissingError, match=r"Accounting: expected test-00000-of"):
        take("mmmu-test").load(tmp_path)
