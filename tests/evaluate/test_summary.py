"""Summaries: every folder of a model is a row, only a whole benchmark is a headline, and what differs is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from evaluate.summary import check_report, read_summary
from internvl.errors import InputError, MissingError
from tests.evaluate.results import SETTINGS, write_beginning, write_run


def test_runs_stand_in_the_order_of_the_benchmarks_with_baselines_behind_theirs(tmp_path: Path) -> None:
    for name in ("zoo", "vqa-textvqa-val", "quickstart-shuffled", "quickstart", "quickstart-blind"):
        write_run(tmp_path / "tiny" / name)
    write_beginning(tmp_path / "tiny" / "another", 3, 12)
    (tmp_path / "tiny" / "notes").mkdir()
    summary = read_summary(tmp_path / "tiny")
    assert summary.model == "tiny"
    assert summary.warnings == ()
    names = [entry.name for entry in summary.entries]
    assert names == [
        *("quickstart", "quickstart-blind", "quickstart-shuffled", "vqa-textvqa-val", "another", "zoo"),
    ]
    assert [entry.name for entry in summary.entries if entry.is_headline] == ["quickstart", "vqa-textvqa-val", "zoo"]
    text = summary.entries[3]
    assert (text.title, text.split, summary.entries[5].title) == ("TextVQA", "val", "zoo")


@pytest.mark.parametrize(
    ("answered", "expected", "state"), [(3, 12, "incomplete"), (12, 12, "answered"), (3, None, "incomplete")]
)
def test_run_without_a_report_has_counts_and_no_number(
    tmp_path: Path, answered: int, expected: int | None, state: str
) -> None:
    write_beginning(tmp_path / "quickstart", answered, expected)
    [entry] = read_summary(tmp_path).entries
    assert (entry.state, entry.answered, entry.expected, entry.is_headline) == (state, answered, expected, False)


@pytest.mark.parametrize("text", ['{"benchmark": "bro', "[1]", "{}", '"x"', '{"runs": []}', "\xff"])
def test_report_that_is_none_is_named_and_hides_no_other(tmp_path: Path, text: str) -> None:
    write_run(tmp_path / "quickstart")
    (tmp_path / "zoo").mkdir()
    (tmp_path / "zoo" / "report.json").write_text(text, encoding="latin-1")
    good, bad = read_summary(tmp_path).entries
    assert (good.state, bad.state, bad.name) == ("scored", "unreadable", "zoo")
    assert f"{tmp_path / 'zoo' / 'report.json'}: expected " in bad.problem


def test_values_of_the_wrong_kind_are_refused(tmp_path: Path) -> None:
    report = json.loads((write_run(tmp_path / "zoo") / "report.json").read_text())
    check_report(report, tmp_path)
    for key, value in (("score", "50"), ("metrics", []), ("interval", [1]), ("interval", ["a", "b"]), ("primary", 1)):
        with pytest.raises(InputError, match=f"expected .*{key}"):
            check_report(report | {key: value}, tmp_path)


def test_broken_run_file_is_named(tmp_path: Path) -> None:
    write_beginning(tmp_path / "quickstart", 1, 2)
    (tmp_path / "quickstart" / "part-0.jsonl").write_text("nothing\n")
    write_beginning(tmp_path / "zoo", 1, 2)
    (tmp_path / "zoo" / "run.json").write_text('{"start": []}')
    first, second = read_summary(tmp_path).entries
    assert first.state == "unreadable"
    assert "part-0.jsonl:1: expected a prediction" in first.problem
    assert second.state in ("unreadable", "incomplete")


def test_differences_are_named_with_their_runs(tmp_path: Path) -> None:
    write_run(tmp_path / "quickstart")
    write_run(tmp_path / "zoo", settings={**SETTINGS, "model": "other", "versions": {"torch": "2.11.0"}})
    assert read_summary(tmp_path).warnings == (
        "Not all runs are of the same model: fingerprint (quickstart); other (zoo).",
        "Not all runs were scored with the same version of torch: 2.15.0 (quickstart); 2.11.0 (zoo).",
    )


def test_answers_from_files_are_said_to_be_unchecked(tmp_path: Path) -> None:
    for name in ("quickstart", "zoo"):
        write_run(tmp_path / name, settings={**SETTINGS, "model": f"file:{name}"})
    assert read_summary(tmp_path).warnings == (
        "The answers come from several files; whether one model gave them all, nobody checked.",
    )


def test_copied_report_is_no_headline(tmp_path: Path) -> None:
    write_run(tmp_path / "quickstart", benchmark="zoo")
    summary = read_summary(tmp_path)
    assert not summary.entries[0].is_headline
    assert "expected the report of this run, got that of zoo; was it copied?" in summary.warnings[0]


def test_benchmark_file_that_is_gone_or_broken_hides_no_number(tmp_path: Path) -> None:
    for name, file in (("quickstart", "gone.py"), ("zoo", "broken.py")):
        write_run(tmp_path / name)
        start = {"benchmark": name, "files": [str(tmp_path / file)]}
        (tmp_path / name / "run.json").write_text(json.dumps({"start": start}))
    (tmp_path / "broken.py").write_text("1 / 0")
    assert [(entry.state, entry.title) for entry in read_summary(tmp_path).entries] == [
        ("scored", "Quickstart"),
        ("scored", "zoo"),
    ]


def test_folder_without_runs_is_refused(tmp_path: Path) -> None:
    write_run(tmp_path / "results" / "tiny" / "zoo")
    with pytest.raises(MissingError, match=r"got none; that is one run, name the folder around it"):
        read_summary(tmp_path / "results" / "tiny" / "zoo")
    for path in ("gone", "results"):
        (tmp_path / "results" / "tiny" / "report.json").write_text("{}")
        (tmp_path / "results" / "tiny" / "report.md").write_text("")
        with pytest.raises(MissingError, match=r"got none; name results/<model>"):
            read_summary(tmp_path / path)
