"""Two runs side by side: the difference is that of the same samples, and what does not belong together is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from evaluate import compare as module
from evaluate.__main__ import main
from evaluate.demo.files import write_rows
from evaluate.report import read_report
from tests.evaluate.questions import FOLDER, run, write_questions
from tests.evaluate.test_headline import GroupMean
from tests.evaluate.test_main import WATCH


def score(root: Path, name: str, answers: list[str], *words: str) -> Path:
    """A run from answers to the questions, in order."""
    rows = [{"id": f"{n // 2:03}-{n % 2}", "text": text} for n, text in enumerate(answers)]
    write_rows(root / f"{name}.jsonl", rows)
    out = root / "out"
    command = ["score", root / f"{name}.jsonl", "--benchmark", "quickstart", "--root", root, "--output", out, *words]
    assert main([*map(str, command), "--allow-size"]) == 0
    return out / name / "quickstart"


@pytest.fixture
def sides(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> tuple[Path, Path]:
    """40 questions: both right about existence; the second right about 15 colors more and wrong about one it knew."""
    root = write_questions(tmp_path, 40)
    rows = [json.loads(line) for line in (root / FOLDER / "held_out.jsonl").read_text().splitlines()]
    right = [row["answer"] for row in rows]
    first = [text if n % 2 or n < 6 else "pink" for n, text in enumerate(right)]
    second = [text if n % 2 or 2 <= n < 36 else "pale" for n, text in enumerate(right)]
    folders = score(root, "one", first), score(root, "two", second)
    capsys.readouterr()
    return folders


def call(*words: object) -> int:
    return main(["compare", *map(str, words)])


def test_both_numbers_the_difference_and_the_changes(
    sides: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changes = tmp_path / "changes.jsonl"
    assert call(*sides, "--json", "--changes", changes) == 0
    said = json.loads(capsys.readouterr().out)
    reports = [read_report(folder) for folder in sides]
    assert said["models"] == ["one", "two"]
    assert said["scores"] == [report["score"] for report in reports] == [57.5, 92.5]
    assert said["intervals"] == [report["interval"] for report in reports]
    assert said["bounds"][0] < said["difference"] == 35.0 < said["bounds"][1]
    assert (said["excludes_zero"], said["num_samples"]) == (True, 40)
    assert (said["num_worse"], said["num_better"], said["num_changed"], said["num_reworded"]) == (1, 15, 16, 2)
    rows = [json.loads(line) for line in changes.read_text().splitlines()]
    assert len(rows) == 16
    assert (rows[0]["id"], rows[0]["answer_a"], rows[0]["answer_b"]) == ("000-0", "red", "pale")
    assert (rows[0]["target"], rows[0]["score_a"], rows[0]["score_b"]) == ("red", 1.0, 0.0)
    assert "What color is it?" in rows[0]["prompt"]
    assert call(*sides) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "quickstart accuracy, 40 samples, 95 % intervals over pictures"
    assert lines[3].startswith("  B - A  +35.00 [")
    assert lines[3].endswith("]: excludes 0")
    assert lines[4] == "  16 samples with another score: 1 right->wrong, 15 wrong->right; 2 only with another answer"
    assert lines[5] == '    000-0: "red" 1.0 -> "pale" 0.0, wanted "red"'
    assert lines[-1] == "    and 6 more; --changes FILE writes all"


def test_run_compared_with_itself_does_not_differ(sides: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert call(sides[0], sides[0]) == 0
    output = capsys.readouterr().out
    assert "B - A  +0.00 [0.00, 0.00]: includes 0" in output
    assert "0 samples with another score" in output


def test_other_prompts_and_missing_samples_are_refused_unless_wanted(
    sides: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = json.loads((sides[1] / "report.json").read_text())
    (sides[1] / "report.json").write_text(json.dumps(report | {"settings": report["settings"] | {"prompts": "x"}}))
    assert call(*sides) == 2
    errors = capsys.readouterr().err
    assert errors.startswith(
        "error: compare: expected runs of the same benchmark, protocol, prompts and targets, got other prom"
    )
    assert errors.count("\n") == 1
    assert call(*sides, "--anyway") == 0
    (sides[1] / "report.json").write_text(json.dumps(report))
    lines = (sides[1] / "samples.jsonl").read_text().splitlines(keepends=True)
    (sides[1] / "samples.jsonl").write_text("".join(lines[:-2]))
    capsys.readouterr()
    assert call(*sides) == 2
    assert "two/quickstart: expected all 40 samples of the other run, got 38 (missing: 019-0, 019-1)" in (
        capsys.readouterr().err
    )
    assert call(*sides, "--anyway", "--json") == 0
    assert json.loads(capsys.readouterr().out)["num_samples"] == 38
    # Records that are not those of the report are no result.
    (sides[1] / "samples.jsonl").write_text("".join(lines).replace('"score": 0.0', '"score": 1.0'))
    assert call(*sides) == 2
    assert "expected the score of its report, 92.5, got 100.0 from its samples" in capsys.readouterr().err


def test_rule_that_is_no_mean_is_compared_by_its_own_number(
    sides: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (module.read_side(folder) for folder in sides)
    rule = GroupMean()
    monkeypatch.setattr(rule, "name", first.report["settings"]["scorer"], raising=False)
    monkeypatch.setattr("evaluate.benchmarks.quickstart.Quickstart.scorer", lambda self: rule)
    for side in (first, second):
        texts, targets = zip(*((r["prediction"], r["target"]) for r in side.records.values()), strict=True)
        side.report["score"] = rule(texts, list(targets)).metrics["balanced"]
    monkeypatch.setattr("evaluate.interval.DRAWS", 100)
    found = module.compare(first, second)
    assert found.scores == (first.report["score"], second.report["score"])
    assert found.scores[0] != 57.5
    assert found.bounds is not None
    assert found.bounds[0] <= found.difference <= found.bounds[1]


def test_lower_may_be_better() -> None:
    values = (1.0, 0.0, None, 0.5), (0.0, 1.0, 1.0, 0.0)
    assert module._count(values, True) == (2, 1)
    assert module._count(values, False) == (1, 2)


def test_folder_that_is_not_scored_is_named_at_once(tmp_path: Path) -> None:
    done = run("compare", tmp_path, tmp_path, code=WATCH)
    assert (done.returncode, done.stdout) == (2, "\n")
    assert f"error: {tmp_path}: expected a scored run with report.json, got none; score it with sh" in done.stderr
