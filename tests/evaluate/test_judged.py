"""Judged runs from end to end: a number only where it is one, asked for once, and under the judge's name."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.judge import KEY, kill_and_go_on
from evaluate.__main__ import main
from evaluate.benchmark import list_benchmarks
from evaluate.report import read_report
from tests.evaluate.shelf import write_shelf
from tests.judge_server import Answer, JudgeServer, serve_judge


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[JudgeServer]:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serve_judge() as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        yield server


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_shelf(tmp_path, 60).folder


def read_judged(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / "judged.jsonl").read_text().splitlines()]


def test_number_carries_the_name_of_its_judge_and_is_paid_once(
    server: JudgeServer, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["score", str(folder)]) == 0
    output, errors = capsys.readouterr()
    assert output.startswith("shelf: score by judge-2024-01-01 50.00 [50.00, 50.00], score_strict by judge-2024-01-01 ")
    assert "60 of 60 judged; 60 calls, " in output
    assert "60 answers to judge by judge-2024-01-01 at 127.0.0.1" in errors
    report = read_report(folder)
    assert report["primary"] == "score by judge-2024-01-01"
    assert report["judging"]["answered_by"] == ["judge-2024-01-01"]
    assert report["settings"]["rubric"] == "digits"
    assert server.asked.total() == 61
    before = (folder / "samples.jsonl").read_bytes(), (folder / "judged.jsonl").read_bytes()
    monkeypatch.delenv("OPENAI_API_KEY")  # nothing is asked: no key is needed
    assert main(["score", str(folder)]) == 0
    assert server.asked.total() == 61
    assert ((folder / "samples.jsonl").read_bytes(), (folder / "judged.jsonl").read_bytes()) == before
    store = folder.parents[1] / "judge_replies"
    assert main(["score", str(folder), "--judge", f"replay:{store}"]) == 0
    assert "0 calls, 0 tokens in, 0 out; from the store 6,000 in, 120 out" in capsys.readouterr().out
    page, text = (folder.parent / name for name in ("report.html", "report.md"))
    assert "by judge-2024-01-01" in page.read_text()
    assert "shelf<br>by judge-2024-01-01" in text.read_text()
    files = [path for path in folder.parents[1].rglob("*") if path.is_file()]
    assert not [path for path in files if KEY.encode() in path.read_bytes()]


def test_without_a_key_the_number_waits(
    server: JudgeServer, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", " ")
    other = ["--judge-model", "other-2024-01-01"]
    run, root = folder, folder.parents[2]
    words = ["fake:tiny", "shelf", "--benchmark", str(Path(__file__).with_name("shelf.py")), "--score-only", *other]
    assert main([*words, "--root", str(root), "--output", str(root / "results")]) == 4
    errors = capsys.readouterr().err
    assert f"then: sh evaluate.sh score {run} --judge-model other-2024-01-01\n" in errors
    assert (run / "predictions.jsonl").is_file()
    assert not (run / "report.json").exists()
    assert server.asked.total() == 0
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    assert main(["score", str(run), "--judge-dry-run"]) == 0
    assert server.asked.total() == 0
    assert main(["score", str(run), *other]) == 0
    shutil.copytree(run, root / "copy")
    assert main(["score", str(run)]) == 0
    assert main(["compare", str(root / "copy"), str(run), "--anyway"]) == 2
    assert "numbers of one judge, got those of other-2024-01-01 and judge-2024-01-01" in capsys.readouterr().err


def test_too_few_verdicts_make_no_number(server: JudgeServer, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = {"003: answer 3": Answer("", refusal="I will not"), "007: answer 7": Answer("seven")}
    server.decide = lambda words, times: bad.get(words, Answer("5"))
    assert main(["score", str(folder)]) == 3
    output, errors = capsys.readouterr()
    assert output == ""
    assert (
        "NO NUMBER: expected verdicts on 98% of the answers, got 58 of 60 judged (1 refusal, 1 parse_error)" in errors
    )
    assert "refusal: 003; parse_error: 007" in errors
    assert not (folder / "report.json").exists()
    assert "too few of them judged" in (folder.parent / "report.md").read_text()
    rows = {row["id"]: row for row in read_judged(folder)}
    assert [rows[name]["status"] for name in ("003", "007", "008")] == ["refusal", "parse_error", "ok"]
    assert server.asked.total() == 62  # the seventh twice, and one to check
    assert main(["score", str(folder), "--allow-judge-failures"]) == 0
    assert server.asked.total() == 62
    assert "INCOMPLETE, 58 of 60 judged" in capsys.readouterr().out
    assert read_report(folder)["judging"]["incomplete"]
    assert "only 96.7% of the answers were judged" in (folder.parent / "report.md").read_text()
    bad.clear()
    assert main(["score", str(folder), "--rejudge", "failed"]) == 0
    assert server.asked.total() == 65
    assert main(["score", str(folder)]) == 0  # remembers which replies count
    assert server.asked.total() == 65
    assert read_report(folder)["judging"]["coverage"] == 1
    assert main(["score", str(folder), "--rejudge", "all"]) == 0
    assert server.asked.total() == 65 + 61


def test_failed_calls_are_asked_again_by_themselves(
    server: JudgeServer, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.decide = lambda words, times: Answer(status=400, error={}) if words[:3] in ("001", "002") else Answer("5")
    assert main(["score", str(folder)]) == 3
    assert "58 of 60 judged (2 api_error): api_error: 001, 002 (code 400)" in capsys.readouterr().err
    server.decide = lambda words, times: Answer("5")
    assert main(["score", str(folder), "--judge", "none"]) == 3
    assert "--judge none, and there is no stored reply" in capsys.readouterr().err
    asked = server.asked.total()
    assert main(["score", str(folder)]) == 0
    assert server.asked.total() == asked + 3
    prices = tmp_path / "prices.json"
    prices.write_text('{"models": {"judge-2024-01-01": {"input": 10, "output": 10}}}')
    again = ["score", str(folder), "--rejudge", "all", "--max-cost", "0.01"]
    assert main(again) == 2
    assert "--max-cost: expected a price for judge-2024-01-01" in capsys.readouterr().err
    asked = server.asked.total()
    assert main([*again, "--judge-prices", str(prices)]) == 3
    assert "--max-cost of $0.01" in capsys.readouterr().err
    assert 4 <= server.asked.total() - asked < 10
    assert all(row["status"] in ("ok", "api_error") for row in read_judged(folder))


def test_dead_judge_is_one_line_and_keeps_what_stood(
    server: JudgeServer, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["score", str(folder)]) == 0
    before = (folder / "report.json").read_bytes()
    capsys.readouterr()
    server.decide = lambda words, times: Answer(status=401, error={"error": {"message": f"no {KEY}"}})
    assert main(["score", str(folder), "--rejudge", "all"]) == 2
    output, errors = capsys.readouterr()
    assert output == ""
    assert errors.splitlines()[-1].startswith("error: judge: expected answers of judge-2024-01-01 at http://127.0.0.1")
    assert "got code 401: no ***; check OPENAI_API_KEY" in errors
    assert main(["score", str(folder), "--rejudge", "all", "--judge-base-url", "http://127.0.0.1:9/v1"]) == 2
    assert "the connection failed" in capsys.readouterr().err
    assert (folder / "report.json").read_bytes() == before
    assert KEY not in errors


def test_what_surrounds_a_judge_is_one_line(
    server: JudgeServer, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["score", str(folder), "--judge", "none", "--allow-judge-failures"]
    assert main(words) == 3, "nothing judged is no number"
    assert "60 api_error" in capsys.readouterr().err
    for broken in ('{"a": 7}', '{"a": {"0:1": "x"}}'):
        (folder / "judge_rounds.json").write_text(broken)
        assert main(words) == 2
        assert "judge_rounds.json: expected a number for each answer" in capsys.readouterr().err
    (folder / "judge_rounds.json").unlink()
    monkeypatch.setenv("ALL_PROXY", "odd://me:secret@127.0.0.1:9")
    assert main(["score", str(folder)]) == 2
    errors = capsys.readouterr().err
    assert "error: proxy: expected addresses with http or https" in errors
    assert "secret" not in errors
    assert server.asked.total() == 0


def test_answers_that_were_never_given_and_passes(
    server: JudgeServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_shelf(tmp_path, 60, failed=[5], text="<script>").folder
    server.decide = lambda words, times: Answer(str(times + 5))
    assert main(["score", str(folder), "--judge-repeats", "3"]) == 0
    report = read_report(folder)
    assert report["judging"]["statuses"]["no_prediction"] == 3
    assert report["metrics"]["score_deviation_of_3 by judge-2024-01-01"] > 5
    assert "005: " not in "".join(server.asked)
    assert "1 errors counted as wrong: 005" in capsys.readouterr().out
    assert "\\u003cscript>" in (folder.parent / "report.html").read_text()
    assert "<script> 7" not in (folder.parent / "report.html").read_text()


def test_killed_command_asks_nothing_again_that_was_stored(tmp_path: Path) -> None:
    figures = kill_and_go_on(tmp_path, points=2, count=48, seconds=0.05)
    assert figures["kills"] >= 1
    assert figures["replies that a kill cost"] <= 16 * figures["kills"]


def test_benchmarks_with_a_rubric_say_that_they_are_judged() -> None:
    assert [one.name for one in list_benchmarks().values() if one.judged != (one.rubric() is not None)] == []
