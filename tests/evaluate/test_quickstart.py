"""The closing table of the quickstart, from reports made by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from evaluate.demo.files import write_rows
from evaluate.quickstart import BLIND_LIMIT, GOAL, main, majority, summarize, table
from evaluate.report import Report
from internvl.errors import MissingError
from tests.evaluate.questions import FOLDER

SEEN = Report(
    benchmark="quickstart",
    protocol="quickstart",
    model="quickstart",
    primary="accuracy",
    metrics={"accuracy": 95.25},
    interval=(93.0, 97.5),
    num_samples=4,
    num_errors=1,
    num_unparsed=0,
    settings={},
)
BLIND = replace(SEEN, benchmark="quickstart-blind", metrics={"accuracy": 30.0}, interval=(25.0, 35.0), num_errors=0)


@pytest.fixture(autouse=True)
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with four questions; `no` is the most frequent answer."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / FOLDER / "images").mkdir(parents=True)
    (tmp_path / FOLDER / "images" / "0.png").touch()
    rows = [
        {"id": str(number), "image": "images/0.png", "question": "?", "answer": answer, "kind": "exists"}
        for number, answer in enumerate(["no", "yes", "No", "no"])
    ]
    write_rows(tmp_path / FOLDER / "held_out.jsonl", rows)
    return tmp_path


def write_reports(folder: Path, seen: float = 95.25, blind: float = 30.0) -> Path:
    for report, value in ((SEEN, seen), (BLIND, blind)):
        (folder / report.benchmark).mkdir(parents=True)
        replace(report, metrics={"accuracy": value}).write(folder / report.benchmark)
    return folder


def call(results: Path) -> int:
    return main(["--results", str(results), "--run", "work_dirs/shapes", "--seconds", "61.26"])


def test_majority_is_the_score_of_the_most_frequent_answer() -> None:
    assert majority() == 75.0


def test_figures_come_from_both_reports(checkout: Path) -> None:
    results = write_reports(checkout / "results")
    assert summarize(results, Path("work_dirs/shapes"), 61.26) == {
        "score": 95.25,
        "interval": [93.0, 97.5],
        "blind": 30.0,
        "majority": 75.0,
        "seconds": 61.3,
        "num_questions": 4,
        "num_errors": 1,
        "tensorboard": "work_dirs/shapes/tensorboard",
        "report": str(results / "quickstart" / "report.json"),
    }


@pytest.mark.parametrize("missing", ["quickstart", "quickstart-blind"])
def test_missing_report_is_named(checkout: Path, missing: str, capsys: pytest.CaptureFixture[str]) -> None:
    results = write_reports(checkout / "results")
    (results / missing / "report.json").unlink()
    with pytest.raises(MissingError, match=rf"quickstart: expected the report .*/{missing}/report\.json"):
        summarize(results, Path("work_dirs/shapes"), 0.0)
    assert call(results) == 2
    output, errors = capsys.readouterr()
    assert output == ""
    assert errors.startswith("error: quickstart: expected the report")
    assert errors.count("\n") == 1
    assert not (results / "summary.json").exists()


def test_missing_questions_are_named(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (checkout / FOLDER / "held_out.jsonl").unlink()
    assert call(write_reports(checkout / "results")) == 2
    assert "expected the file playground/quickstart/held_out.jsonl" in capsys.readouterr().err


def test_table_shows_every_figure_and_the_way_on(checkout: Path) -> None:
    figures = summarize(write_reports(checkout / "results"), Path("work_dirs/shapes"), 61.26)
    lines = [" ".join(line.split()) for line in table(figures, Path("work_dirs/shapes/export")).splitlines()]
    assert "the model, 4 held-out questions 95.2 % [93.0, 97.5]" in lines
    assert "blind: the same questions without pictures 30.0 %" in lines
    assert "always the same answer 75.0 %" in lines
    assert "61 s in all. The interval is the 95 % bootstrap over pictures." in lines
    assert "curves: .venv/bin/tensorboard --logdir work_dirs" in lines
    assert f"answers: {checkout / 'results' / 'quickstart' / 'samples.jsonl'}" in lines
    assert "next: sh evaluate.sh work_dirs/shapes/export quickstart --num-beams 3 --output results/beams" in lines


def test_table_of_a_single_picture_shows_no_interval(checkout: Path) -> None:
    figures = summarize(write_reports(checkout / "results"), Path("run"), 0.0) | {"interval": None}
    assert "95.2 %\n" in table(figures, Path("run/export"))


def test_model_that_learned_to_see_ends_with_0(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = write_reports(checkout / "results", seen=GOAL, blind=BLIND_LIMIT - 0.1)
    assert call(results) == 0
    output, errors = capsys.readouterr()
    assert "exact match" in output
    assert errors == ""
    assert json.loads((results / "summary.json").read_text())["score"] == GOAL


@pytest.mark.parametrize(
    ("seen", "blind"),
    [(GOAL - 0.1, 30.0), (100.0, BLIND_LIMIT)],
    ids=["below the goal", "guesses well without pictures"],
)
def test_model_that_has_not_learned_to_see_ends_with_1(
    checkout: Path, capsys: pytest.CaptureFixture[str], seen: float, blind: float
) -> None:
    results = write_reports(checkout / "results", seen=seen, blind=blind)
    assert call(results) == 1
    output, errors = capsys.readouterr()
    assert "exact match" in output, "the table is printed all the same"
    expected = f"expected at least 90 % with pictures and less than 45 % without, got {seen:.1f} % and {blind:.1f} %"
    assert expected in errors
    assert errors.count("\n") == 1
    assert (results / "summary.json").is_file()
