"""`evaluate demo`: what it says, and that numbers of generated data are never taken for those of a benchmark."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from evaluate import check_command, compare, demo_command, report_command, score_command
from evaluate.__main__ import main
from evaluate.demo.marker import CAUTION
from evaluate.jsonl import read_object

NAMES = "mmvp,pope,vqa-vizwiz-test"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs on demonstration data, some of them without pictures, by a model that always says yes."""
    found = tmp_path_factory.mktemp("demo")
    assert main(["demo", NAMES, "--root", str(found / "data")]) == 0
    command = ["fake:yes", NAMES, "--root", str(found / "data"), "--output", str(found / "results"), "--devices", "1"]
    assert main(command) == 0
    assert main([*command, "--blind"]) == 0
    return found / "results" / "fake_yes+demo"


def test_command_tells_what_was_written_and_what_to_do_next(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert demo_command.main(["mmvp,pope"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines[:2]] == [
        ["mmvp", "24", "samples", "25", "files"],
        ["pope", "36", "samples", "10", "files"],
    ]
    assert lines[2] == f"playground/demo: 2 benchmarks, 60 samples: {CAUTION}"
    assert lines[-2:] == [
        "  python -m internvl quickstart",
        "  sh evaluate.sh pretrained/quickstart mmvp,pope --root playground/demo",
    ]
    assert check_command.main(shlex.split(lines[-1])[3:]) == 0
    checked = capsys.readouterr().out
    assert "samples: 24 of 24 generated" in checked
    assert checked.splitlines()[-1] == f"2 of 2 ready ({CAUTION})"
    assert demo_command.main(["mmwp"]) == demo_command.main(["mmvp", "--root", "playground"]) == 2
    errors = capsys.readouterr().err.splitlines()
    assert "did you mean mmvp" in errors[0]
    assert errors[1].startswith("error: --root: expected an empty folder, or one of demonstration data, got ")


def test_line_report_and_page_say_that_the_data_was_generated(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert sorted(path.name for path in folder.iterdir() if path.is_dir()) == [
        *("mmvp+demo", "mmvp+demo-blind", "pope+demo", "pope+demo-blind"),
        *("vqa-vizwiz-test+demo", "vqa-vizwiz-test+demo-blind"),
    ]
    for name in ("pope+demo", "pope+demo-blind"):
        report = read_object(folder / name / "report.json", "")
        assert (report["benchmark"], report["model"], report["caution"]) == (name, folder.name, CAUTION)
        assert score_command.main([str(folder / name)]) == 0
        assert f"; {CAUTION})" in capsys.readouterr().out
    assert score_command.main([str(folder / "vqa-vizwiz-test+demo")]) == 0
    assert capsys.readouterr().out.endswith(f"({CAUTION})\n")
    whole = read_object(folder / "report.json", "")
    assert whole["table"] == {}
    assert whole["warnings"][0] == f"{CAUTION.capitalize()}: all runs."
    assert all(run["is_demo"] and not run["is_headline"] for run in whole["runs"])
    for name in ("report.md", "report.html"):
        assert CAUTION.capitalize() in (folder / name).read_text(encoding="utf-8")
    assert "POPE (demo-blind)" in (folder / "report.html").read_text(encoding="utf-8")


def test_numbers_of_generated_data_stay_apart_from_others(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    demo, real = folder / "pope+demo", tmp_path / "fake_yes" / "pope"
    report, start = read_object(demo / "report.json", ""), read_object(demo / "run.json", "")
    del report["caution"], start["start"]["is_demo"]
    real.mkdir(parents=True)
    (real / "samples.jsonl").write_bytes((demo / "samples.jsonl").read_bytes())
    (real / "report.json").write_text(json.dumps(report | {"benchmark": "pope", "model": "fake_yes"}))
    (real / "run.json").write_text(json.dumps(start))
    for pair in ([demo, real], [real, demo]):
        assert compare.main([*map(str, pair), "--anyway"]) == 2
        assert f"got {CAUTION} in {demo} alone" in capsys.readouterr().err
    assert compare.main([str(demo), str(demo)]) == 0
    assert f"({CAUTION})" in capsys.readouterr().out.splitlines()[0]
    # Brought together by hand: the table has the real one alone, and a renamed folder is told.
    (real.with_name("pope+demo")).symlink_to(demo)
    (real.with_name("mmvp")).symlink_to(folder / "mmvp+demo")
    assert report_command.main([str(real.parent)]) == 0
    whole = read_object(real.parent / "report.json", "")
    assert list(whole["table"]) == ["POPE"]
    assert whole["warnings"][0] == f"{CAUTION.capitalize()}: mmvp, pope+demo."
    # Data of the other kind under a stored run.
    capsys.readouterr()
    assert score_command.main([str(real)]) == 2
    assert "expected the published data that the run was asked with" in capsys.readouterr().err
    assert score_command.main([str(demo), "--root", str(tmp_path)]) == 2
    assert "expected the demonstration data that the run was asked with" in capsys.readouterr().err


def test_answers_of_another_tool_get_the_name_of_generated_data(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.jsonl").write_bytes((folder / "mmvp+demo" / "predictions.jsonl").read_bytes())
    command = ["--benchmark", "mmvp", "--root", str(folder.parents[1] / "data"), "--output", str(tmp_path)]
    assert score_command.main([str(tmp_path / "mine.jsonl"), *command, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["caution"] == CAUTION
    assert (tmp_path / "mine+demo" / "mmvp+demo" / "report.json").is_file()
