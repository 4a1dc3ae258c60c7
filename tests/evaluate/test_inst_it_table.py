"""The table of Inst-It Bench: a column per task that was scored, with coverage and judge, and nothing without one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from evaluate.__main__ import main
from evaluate.demo.writers import WRITERS
from evaluate.inst_it_table import describe_column, write_table
from evaluate.report import Report
from tests.judge_server import Answer, JudgeServer, serve_judge


def score(name: str, root: Path, answers: Path, model: str = "mine") -> int:
    words = ["score", str(answers), "--benchmark", name, "--name", model, "--allow-size"]
    return main([*words, "--root", str(root), "--output", str(root / "results")])


def test_files_of_another_tool_make_the_published_files_and_the_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "any")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    rows = [{"id": f"{n // 3 + 1:03}-{n % 3 + 1:02}", "text": "ABC"[n % 3] if n else "none"} for n in range(12)]
    answers = tmp_path / "answers.jsonl"
    answers.write_text("".join(json.dumps(row) + "\n" for row in rows))
    for name in ("inst-it-video-mc", "inst-it-image-oe"):
        WRITERS[name](tmp_path)
    assert score("inst-it-video-mc", tmp_path, answers) == 0
    with serve_judge(JudgeServer(lambda words, times: Answer('{"sample_score": 0.5}'))) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        assert score("inst-it-image-oe", tmp_path, answers) == 0
    folder = tmp_path / "results" / "mine"
    log = json.loads((folder / "inst-it-video-mc" / "video_mc_evaluate.json").read_text())
    assert (log["valid_num"], log["total_num"]) == (11, 12)
    judged = json.loads((folder / "inst-it-image-oe" / "image_oe_evaluate.json").read_text())
    assert (judged["accuracy"], judged["extra"]["judge"], judged["extra"]["coverage"]) == (50, "gpt-4o-2024-08-06", 1)
    again = folder / "inst-it-video-mc" / "video_mc_inference.json"
    assert score("inst-it-video-mc", tmp_path, again) == 2  # the same name for another file of answers
    assert "expected the same answers as before, got others" in capsys.readouterr().err
    assert score("inst-it-video-mc", tmp_path, again, "theirs") == 0
    theirs = tmp_path / "results" / "theirs" / "inst-it-video-mc"
    assert (theirs / again.name).read_bytes() == again.read_bytes()
    assert json.loads((theirs / "video_mc_evaluate.json").read_text())["accuracy"] == log["accuracy"]
    table = (folder / "inst_it.md").read_text()
    assert table.startswith("# Inst-It Bench: mine\n\n| Inst-It Bench | Image OE | Image MC | Video OE | Video MC |\n")
    assert f"| accuracy | 50.00 | - | - | {log['accuracy']:.2f} |" in table
    assert "| scored | 12 of 12 | - | - | 11 of 12 |" in table
    assert "| judge | gpt-4o-2024-08-06 | - | - | - |" in table


def make_report(**change: Any) -> dict[str, Any]:
    metrics = {"accuracy": 40.0, "accuracy_all": 30.0, "num_valid": 3.0}
    given: dict[str, Any] = {"metrics": metrics, "num_samples": 4, "num_errors": 0, **change}
    return Report("b", "p", "m", "accuracy", interval=None, num_unparsed=0, settings={}, **given).describe()


def test_columns_say_what_a_number_is_of() -> None:
    shown = {"accuracy": "40.00", "accuracy_all": "30.00", "scored": "3 of 4", "judge": ""}
    assert describe_column(make_report()) == shown
    assert describe_column(make_report(num_errors=1))["scored"] == "3 of 4 (1 failed)"
    nothing = {"accuracy": float("nan"), "accuracy_all": 0.0, "num_valid": 0.0}
    assert describe_column(make_report(metrics=nothing))["accuracy"] == "none valid"
    judging = {"judge": "j", "statuses": {"ok": 2, "refusal": 2}, "incomplete": True}
    judged = {"accuracy by j": 40.0, "accuracy_all by j": 20.0}
    column = describe_column({**make_report(), "metrics": judged, "judging": judging})
    assert column == {"accuracy": "40.00 (INCOMPLETE)", "accuracy_all": "20.00", "scored": "2 of 4", "judge": "j"}


def test_folder_without_a_run_gets_no_table_and_an_odd_report_no_number(tmp_path: Path) -> None:
    assert write_table(tmp_path) == []
    assert [*tmp_path.iterdir()] == []
    for name, text in (("inst-it-image-mc", "{"), ("inst-it-video-oe", "{}")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "report.json").write_text(text)
    assert write_table(tmp_path)[2] == "| accuracy | - | unreadable | unreadable | - |"


def test_demonstration_says_that_it_is_one(tmp_path: Path) -> None:
    run = tmp_path / "mine+demo" / "inst-it-video-mc+demo"
    run.mkdir(parents=True)
    (run / "report.json").write_text(json.dumps(make_report(caution="generated data")))
    assert write_table(run.parent)[-2:] == ["", "Generated data."]


def test_baselines_have_tables_of_their_own(tmp_path: Path) -> None:
    for name, number in (
        ("inst-it-video-mc", 40.0),
        ("inst-it-image-mc-blind", 20.0),
        ("inst-it-video-mc-blind", 25.0),
    ):
        (tmp_path / name).mkdir()
        report = make_report()
        (tmp_path / name / "report.json").write_text(
            json.dumps({**report, "metrics": {**report["metrics"], "accuracy": number}})
        )
    lines = write_table(tmp_path)
    assert [line for line in lines if line.startswith("| accuracy |")] == [
        "| accuracy | - | - | - | 40.00 |",
        "| accuracy | - | 20.00 | - | 25.00 |",
    ]
    assert lines[6:8] == ["", "| Inst-It Bench, blind | Image OE | Image MC | Video OE | Video MC |"]
    assert (tmp_path / "inst_it-blind.md").read_text().startswith("# Inst-It Bench, blind: ")
    assert "20.00" not in (tmp_path / "inst_it.md").read_text()
