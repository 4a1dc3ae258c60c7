"""Scoring alone: a folder is enough, another tool's answers are as good, and a part makes no headline number."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from evaluate.__main__ import main
from evaluate.demo.files import write_rows
from evaluate.records import claim_folder
from evaluate.report import read_report
from tests.evaluate.questions import COLORS, run, write_questions
from tests.evaluate.test_main import WATCH


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_questions(tmp_path)


def call(root: Path, source: Path, *words: str) -> int:
    return main(["score", str(source), "--root", str(root), "--output", str(root / "out"), *words])


def write_answers(root: Path, count: int = 12) -> Path:
    """Every question about existence right, every color red."""
    rows = [{"question_id": f"{n // 2:03}-{n % 2}", "answer": ("red", "no")[n % 2]} for n in range(count)]
    write_rows(root / "theirs.jsonl", rows)
    return root / "theirs.jsonl"


def test_run_folder_is_scored_again_to_the_same_bytes(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["fake:no", "quickstart", "--blind", "--root", str(root), "--output", str(root / "out"), "--devices", "1"]
    assert main(words) == 0
    line = capsys.readouterr().out.splitlines()[-1]
    folder = root / "out" / "fake_no" / "quickstart-blind"
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    for name in ("report.json", "samples.jsonl"):
        (folder / name).unlink()
    done = run("score", folder, code=WATCH)
    assert done.stdout.splitlines() == [line, "numpy"], done.stderr
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    # A folder from before `start` was written gets it when its run goes on.
    stored = json.loads(before["run.json"])
    del stored["start"]
    (folder / "run.json").write_text(json.dumps(stored))
    assert main(words) == 0
    assert (folder / "run.json").read_bytes() == before["run.json"]


def test_answers_of_another_tool_become_a_run(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_answers(root)
    assert call(root, path, "--benchmark", "quickstart", "--name", "other") == 0
    line = capsys.readouterr().out
    expected = 100 * (6 + COLORS[:6].count("red")) / 12
    assert line.startswith(f"quickstart: accuracy {expected:.2f} [")
    folder = root / "out" / "other" / "quickstart"
    written = {item.name: item.read_bytes() for item in folder.iterdir()}
    assert call(root, path, "--benchmark", "quickstart", "--name", "other") == 0
    assert call(root, folder) == 0
    assert capsys.readouterr().out == 2 * line
    assert {item.name: item.read_bytes() for item in folder.iterdir()} == written
    path.write_text(path.read_text().replace("red", "blue"))
    assert call(root, path, "--benchmark", "quickstart", "--name", "other") == 2
    assert "expected the same answers as before, got others; choose another --name" in capsys.readouterr().err


def test_part_makes_a_number_only_under_another_name(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_answers(root, 9)
    with path.open("a") as file:
        file.write('{"id": "more", "text": "no"}\n{"id": "000-0", "text": "red"}\n')
    assert call(root, path, "--benchmark", "quickstart") == 2
    said = "3 missing (004-1, 005-0, 005-1), 1 doubled (000-0), 1 unknown (more)"
    assert capsys.readouterr().err == (
        f"error: {path}: expected 12 answers to quickstart, got 9: {said}; "
        "complete the file, or score the part with --partial\n"
    )
    assert not (root / "out").exists()
    assert call(root, path, "--benchmark", "quickstart", "--partial", "--json") == 0
    output, notes = capsys.readouterr()
    assert said in notes
    assert json.loads(output)["benchmark"] == "quickstart-partial"
    assert not (root / "out" / "theirs" / "quickstart" / "report.json").exists()
    report = read_report(root / "out" / "theirs" / "quickstart-partial")
    assert (report["num_samples"], report["num_expected"]) == (9, 12)
    assert call(root, root / "out" / "theirs" / "quickstart") == 2
    assert "expected 12 predictions in" in capsys.readouterr().err
    assert call(root, root / "out" / "theirs" / "quickstart", "--partial") == 0
    assert "quickstart-partial: accuracy 55.56 " in (line := capsys.readouterr().out)
    assert "(9 of 12 samples, 0 errors, " in line


def test_answers_that_are_errors_are_wrong_and_named(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_answers(root)
    path.write_text(path.read_text().replace('"000-1", "answer": "no"', '"000-1", "error": "no picture"'))
    assert call(root, path, "--benchmark", "quickstart") == 0
    assert "(12 samples, 1 errors counted as wrong: 000-1, 0 unparsed" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "theirs.jsonl: expected a run folder, or --benchmark NAME beside a file; add it"),
        (["--benchmark", "quickstrat"], "expected a known name, got 'quickstrat'; did you mean quickstart?"),
        (["--benchmark", "quickstart", "--name", "a/b"], "--name: expected the name of a folder, got 'a/b'"),
    ],
)
def test_mistake_is_one_line(root: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(root, write_answers(root), *words) == 2
    output, errors = capsys.readouterr()
    assert (output, errors.count("\n")) == ("", 1)
    assert message in errors


def test_two_commands_do_not_write_into_one_folder(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answers = write_answers(root)
    assert call(root, answers, "--benchmark", "quickstart", "--partial", "--allow-size") == 0
    [folder] = (path.parent for path in (root / "out").glob("*/*/run.json"))
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    capsys.readouterr()
    with claim_folder(folder):
        assert call(root, folder, "--partial") == 2
        assert call(root, answers, "--benchmark", "quickstart", "--partial", "--allow-size") == 2
    assert capsys.readouterr().err.count("expected no other run at work there") == 2
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert call(root, root / "typo") == 2
    assert "typo: expected a run folder or a file of answers, got no such path" in capsys.readouterr().err


def test_mistake_loads_nothing_heavy(tmp_path: Path) -> None:
    done = run("score", tmp_path / "nothing.jsonl", "--benchmark", "quickstrat", code=WATCH)
    assert (done.returncode, done.stdout) == (2, "\n")
