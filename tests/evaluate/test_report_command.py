"""The command `report`: three files, each whole, after every evaluation and on demand, and nothing heavy."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from evaluate.__main__ import main
from evaluate.demo.files import write_rows
from evaluate.page.document import DEFAULT_LIMITS, Limits
from evaluate.report_command import publish, read_limits
from internvl.errors import InputError
from tests.evaluate.questions import run, write_questions
from tests.evaluate.results import write_run
from tests.evaluate.test_main import WATCH

NAMES = ["report.html", "report.json", "report.md"]


def test_evaluation_and_scoring_write_it_and_the_command_writes_the_same_bytes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root, folder = write_questions(tmp_path), tmp_path / "out" / "fake_no"
    words = ["fake:no", "quickstart", "--root", str(root), "--output", str(root / "out"), "--devices", "1"]
    assert main([*words, "--score-only"]) == 2
    # Every answer is there already, so that no model is loaded.
    write_rows(
        folder / "quickstart" / "part-0.jsonl", [{"id": f"{n // 2:03}-{n % 2}", "text": "no"} for n in range(12)]
    )
    assert main(words) == 0
    written = {name: (folder / name).read_bytes() for name in NAMES}
    assert sorted(path.name for path in folder.iterdir() if path.name[0] != ".") == ["quickstart", *NAMES]
    for command in (["score", str(folder / "quickstart")], ["report", str(folder)]):
        for name in NAMES:
            (folder / name).unlink()
        assert main(command) == 0
        assert {name: (folder / name).read_bytes() for name in NAMES} == written
    assert not list(folder.glob(".*partial"))
    assert "| quickstart | accuracy | 50.00 |" in written["report.md"].decode()
    assert json.loads(written["report.json"])["runs"][0]["num_samples"] == 12
    assert capsys.readouterr().out.count("report.html  0.0 MB") == 1
    # Beside a run folder that was put elsewhere, nothing is written.
    (tmp_path / "elsewhere").mkdir()
    (folder / "quickstart").rename(tmp_path / "elsewhere" / "quickstart")
    assert main(["score", str(tmp_path / "elsewhere" / "quickstart")]) == 0
    assert [path.name for path in (tmp_path / "elsewhere").iterdir() if path.name[0] != "."] == ["quickstart"]


def test_number_of_samples_is_checked() -> None:
    assert read_limits(None) == DEFAULT_LIMITS
    assert (read_limits("all"), read_limits("30")) == (Limits(None, None), Limits(30, None))
    with pytest.raises(InputError, match="--samples: expected a number or all, got many; correct it"):
        read_limits("many")


def test_number_stands_whatever_becomes_of_the_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(tmp_path / "zoo")
    (tmp_path / "report.html").mkdir()  # nothing can be written there
    publish(tmp_path)
    assert "note: no report: " in (said := capsys.readouterr().err)
    assert "report.html: expected a file that can be written, got " in said
    assert not list(tmp_path.glob(".*"))
    assert main(["report", str(tmp_path)]) == 2


def test_mistake_loads_nothing_heavy(tmp_path: Path) -> None:
    done = run("report", tmp_path / "gone", code=WATCH)
    assert (done.returncode, done.stdout) == (2, "\n")
    assert done.stderr == (
        f"error: {tmp_path / 'gone'}: expected run folders with report.json or run.json, got none; "
        "name results/<model>\n"
    )
