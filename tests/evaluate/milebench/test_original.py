"""Outputs of the original tool through the command against tests/golden/milebench_dataset.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from evaluate.__main__ import main
from tests.evaluate.milebench.written import write_annotation, write_answers


def call(root: Path, source: Path, *words: str) -> int:
    words = ("--root", str(root), "--output", str(root / "results"), "--allow-size", *words)
    return main(["score", str(source), "--benchmark", "milebench", *words])


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.golden("milebench_dataset")
def test_files_agree_with_the_original(
    case: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given, expected = case["input"], case["expected"]
    dataset = given["dataset"]
    write_annotation(tmp_path, dataset, given["annotation"])
    write_answers(tmp_path / "outputs" / "model" / dataset, given["predictions"])
    code = call(tmp_path, tmp_path / "outputs" / "model")
    folder = tmp_path / "results" / "model" / f"milebench-{dataset.lower()}"
    if "error" in expected:
        assert code == 2
        assert "error: " in capsys.readouterr().err
        assert not (folder / "eval.json").exists()
        return
    assert code == 0
    found, wanted = read(folder / "eval.json"), expected["eval.json"]
    assert list(found) == list(wanted)
    for key, value in wanted.items():
        if isinstance(value, dict):
            assert list(found[key]) == list(value)
            for level, numbers in value.items():
                assert found[key][level] == pytest.approx(numbers, rel=0, abs=1e-6)
        else:
            assert found[key] == pytest.approx(value, rel=0, abs=1e-6)
    assert read(folder / "eval_score.json") == expected["eval_score.json"]
    rows = read(folder / "pred_with_extracted.json") if "extracted" in expected else []
    kept = [{key: row[key] for key in ("sample_id", "extracted", "result")} for row in rows]
    assert kept == expected.get("extracted", [])
    assert (folder / "pred_with_extracted.json").exists() == bool(rows)
    assert read(folder / "pred.json") == given["predictions"]


def make(root: Path, *names: str, model: str = "model") -> Path:
    """Two questions of each dataset, answered right."""
    rows = [
        {
            "sample_id": number,
            "task_instruction_id": 0,
            "task_instance": {
                "context": "{image#1}{image#2}?",
                "images_path": ["a.jpg", "b.jpg"],
                "choice_list": ["red", "blue"],
            },
            "response": "blue",
            "image_quantity_level": "Few",
        }
        for number in range(2)
    ]
    content = {"meta_data": {"question_type": "multi-choice", "task_instruction": ["Look."]}, "data": rows}
    for name in names:
        write_annotation(root, name, content)
        write_answers(root / "outputs" / model / name, ANSWERS)
    return root / "outputs" / model


ANSWERS = [{"sample_id": number, "pred_response": "B", "gt_response": "blue"} for number in range(2)]


def test_folder_of_a_model_of_one_model_and_of_a_dataset(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = make(tmp_path, "TQA", "WebQA")
    for source, name, lines in ((model, "a", 2), (model.parent, "b", 2), (model / "TQA", "c", 1)):
        assert call(tmp_path, source, "--name", name) == 0
        said = capsys.readouterr()
        assert len(said.out.splitlines()) == lines
        assert said.out.startswith("milebench-tqa: Accuracy 100.00 ")
        assert f"note: {source}: no answers to {29 - lines}: milebench-actionlocalization, " in said.err
        assert f"MileBench, {name}\nTQA (S-1)  2/2  Accuracy 100.00  Few 100.00" in said.err
        table = (tmp_path / "results" / name / "milebench" / "result.csv").read_text()
        assert table.endswith(f"\n{name},100.0{',100.0' * (lines - 1)}\n")
    assert call(tmp_path, model / "TQA") == call(tmp_path, model) == 0  # it is called as its folder is
    assert (tmp_path / "results" / "model" / "milebench-webqa" / "report.json").is_file()
    # What was made is a run, which is scored again to the same bytes, without any picture of the data.
    folder = tmp_path / "results" / "model" / "milebench-tqa"
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert main(["score", str(folder), "--root", str(tmp_path)]) == 0
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ("", "got an empty file"),
        ("[]", "got an empty one"),
        ("{}", "expected a list of answers, got dict"),
        ('[{"sample_id": 0, "pred_resp', "as JSON, got Unterminated string"),
        ([*ANSWERS, ANSWERS[0]], "expected each sample_id once, got 0 again"),
        ([*ANSWERS, {**ANSWERS[0], "sample_id": 7}], "expected the sample_ids of the data, got 7"),
        (ANSWERS[:1], "expected 2 answers to milebench-webqa, got 1: 1 missing (1)"),
        ([ANSWERS[0], {"pred_response": "B"}], "row 2: expected a whole number as sample_id"),
        ([ANSWERS[0], {"sample_id": 1, "pred_response": 3}], "row 2: expected a text as pred_response, got 3"),
        ([ANSWERS[0], {"sample_id": 1}], "row 2: expected a text as pred_response, got None"),
        ([ANSWERS[0], "B"], "row 2: expected a whole number as sample_id, got B"),
    ],
)
def test_broken_file_costs_no_other_its_number(
    rows: object, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = make(tmp_path, "TQA", "WebQA")
    path = write_answers(model / "WebQA", rows)
    assert call(tmp_path, model) == 2
    said = capsys.readouterr()
    assert said.out.startswith("milebench-tqa: Accuracy 100.00")
    assert f"error: {path}: " in said.err
    assert told in said.err
    results = tmp_path / "results" / "model"
    assert (results / "milebench" / "result.csv").read_text() == "Model,TQA (Accuracy)\nmodel,100.0\n"
    assert not (results / "milebench-webqa").exists()


def test_unknown_folder_is_told_and_the_others_are_scored(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = make(tmp_path, "TQA")
    write_answers(model / "WebQa", ANSWERS)
    assert call(tmp_path, model) == 2
    said = capsys.readouterr()
    assert "milebench-tqa: Accuracy 100.00" in said.out
    told = f"{model / 'WebQa'}: expected the name of a dataset, got 'WebQa'; did you mean WebQA?"
    assert said.err.count(told) == 1
    assert call(tmp_path, model / "WebQa", "--name", "other") == 2
    assert told in capsys.readouterr().err


def test_what_is_no_such_folder_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    assert call(tmp_path, tmp_path / "empty") == 2
    assert "expected <dataset>/pred.json of one model, got none" in capsys.readouterr().err
    make(tmp_path, "TQA", model="one")
    make(tmp_path, "TQA", model="two")
    assert call(tmp_path, tmp_path / "outputs") == 2
    assert "got those of one, two; name the folder of one model" in capsys.readouterr().err
    (tmp_path / "bare" / "TQA").mkdir(parents=True)
    assert call(tmp_path, tmp_path / "bare") == 2
    assert "expected answers to milebench, got none" in capsys.readouterr().err
    assert not (tmp_path / "results").exists()
    assert call(tmp_path, tmp_path / "outputs" / "one") == 0
    for source in (tmp_path / "results", tmp_path / "results" / "one"):
        assert call(tmp_path, source) == 2
        assert "results/one: expected outputs of MileBench's own tool, got runs of ours" in capsys.readouterr().err


def test_other_right_answers_and_failures_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = make(tmp_path, "TQA")
    said_half = "B \ud800"  # half of a pair, which no file can hold
    rows = [
        {"sample_id": "0", "pred_response": None},
        {"sample_id": 1, "pred_response": said_half, "gt_response": "red"},
    ]
    write_answers(model / "TQA", rows)
    assert call(tmp_path, model, "--json") == 0
    said = capsys.readouterr()
    (report,) = json.loads(said.out)
    assert (report["score"], report["num_errors"], report["errors"]) == (50, 1, ["0"])
    assert "1 right answers differ from those of the data (1)" in said.err
    folder = tmp_path / "results" / "model" / "milebench-tqa"
    assert read(folder / "eval.json")["Accuracy"] == 0.5
    assert read(folder / "pred.json") == [rows[0], {**rows[1], "pred_response": "B ?"}]


def test_single_files_of_any_tool(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = make(tmp_path, "TQA") / "TQA" / "pred.json"
    theirs, other = tmp_path / "theirs.jsonl", tmp_path / "other.jsonl"
    theirs.write_text("".join(json.dumps(row) + "\n" for row in ANSWERS))
    other.write_text('{"id": 0, "text": "B"}\n{"id": 1, "text": "A"}\n')
    for source, score in ((path, 100), (theirs, 100), (other, 50)):
        assert call(tmp_path, source, "--benchmark", "milebench-tqa", "--json") == 0
        assert json.loads(capsys.readouterr().out)["score"] == score
    assert read(tmp_path / "results" / "other" / "milebench-tqa" / "pred.json")[1]["gen_model_id"] == "other"


def test_part_makes_a_number_only_under_another_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = make(tmp_path, "TQA")
    write_answers(model / "TQA", ANSWERS[:1])
    assert call(tmp_path, model, "--partial") == 0
    assert capsys.readouterr().out.startswith("milebench-tqa-partial: Accuracy 100.00")
    assert not (tmp_path / "results" / "model" / "milebench").exists()


def test_benchmarks_without_such_folders_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = make(tmp_path, "TQA")
    assert call(tmp_path, model, "--benchmark", "milebench-tqa,quickstart") == 0
    assert "no answers to 1: quickstart\n" in capsys.readouterr().err
    assert call(tmp_path, model, "--benchmark", "quickstart") == 2
    assert "expected a run folder with run.json, got none" in capsys.readouterr().err
