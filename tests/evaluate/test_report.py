"""Reports: what is written can be read, and the line on the screen tells what must be known about a number."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from evaluate.report import Report, read_report
from internvl.errors import InputError

REPORT = Report(
    benchmark="shelf-blind",
    protocol="official",
    model="fake_yes",
    primary="accuracy",
    metrics={"anls": 12.5, "accuracy": 61.994},
    interval=(60.0, 63.456),
    num_samples=5000,
    num_errors=2,
    num_unparsed=17,
    settings={"scorer": "exact_match", "prompts": "é"},
)


def test_line_tells_metric_interval_counts_and_protocol() -> None:
    expected = "shelf-blind: accuracy 61.99 [60.00, 63.46]  (5000 samples, 2 errors, 17 unparsed; official)"
    assert REPORT.line() == expected


def test_line_without_an_interval_shows_none() -> None:
    assert replace(REPORT, interval=None).line().startswith("shelf-blind: accuracy 61.99  (5000 samples")


def test_line_names_errors_and_says_that_a_part_is_one() -> None:
    named = replace(REPORT, errors=("7", "9"), num_expected=6000).line()
    assert "(5000 of 6000 samples, 2 errors counted as wrong: 7, 9, 17 unparsed" in named
    assert "4 errors counted as wrong: a, b, c, ..., 17" in replace(REPORT, num_errors=4, errors=tuple("abcd")).line()


def test_written_report_holds_everything_and_the_headline_score(tmp_path: Path) -> None:
    REPORT.write(tmp_path)
    content = read_report(tmp_path)
    assert content["score"] == REPORT.score == 61.994
    assert content["interval"] == [60.0, 63.456]
    assert (content["num_errors"], content["num_unparsed"], content["settings"]) == (2, 17, dict(REPORT.settings))
    assert "é" in (tmp_path / "report.json").read_text(encoding="utf-8")


def test_writing_replaces_an_older_report_and_leaves_no_partial_file(tmp_path: Path) -> None:
    REPORT.write(tmp_path)
    replace(REPORT, num_errors=3).write(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]
    assert read_report(tmp_path)["num_errors"] == 3


def test_report_that_was_cut_off_is_named(tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text("{")
    with pytest.raises(InputError, match=r"report\.json: expected JSON, got .*; score the run again"):
        read_report(tmp_path)
