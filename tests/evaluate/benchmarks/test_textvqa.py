"""TextVQA: a small set in the published layout, and a score by hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from evaluate.__main__ import main
from evaluate.benchmark import find
from evaluate.demo.files import write_json, write_rows
from evaluate.demo.vqa import WRITERS
from evaluate.report import read_report
from evaluate.sample import Generation
from tests.evaluate.outcome import answer_all

ANNOTATIONS = "data/textvqa/textvqa_val_annotations.json"
TIMES_RED = (2, 0, 1, 3, 10)
"""How many of ten people answered `red`, per question."""


def write_votes(root: Path) -> Path:
    """The small set, with these votes."""
    WRITERS["vqa-textvqa-val"](root)
    rows = json.loads((root / ANNOTATIONS).read_text(encoding="utf-8"))["annotations"][::-1]
    for times, row in zip(TIMES_RED, rows, strict=True):
        said = ["red"] * times + [f"word {number}" for number in range(10 - times)]
        row["answers"] = [{"answer": text, "answer_id": place} for place, text in enumerate(said, 1)]
    write_json(root / ANNOTATIONS, {"annotations": rows})
    return root


def test_published_size_and_settings_are_named() -> None:
    [benchmark] = find("vqa-textvqa-val")
    assert benchmark.size == 5000
    assert benchmark.generation == Generation(max_new_tokens=10, num_beams=1, temperature=0.0)
    assert (benchmark.protocol, benchmark.groups) == ("internvl-v1.2", ("vqa",))


def test_names_of_2025_have_the_rule_of_2025(tmp_path: Path) -> None:
    tokens, plain = find("vqa-textvqa-val-ocr,vqa-textvqa-val-later")
    assert tokens.files == find("vqa-textvqa-val")[0].files
    assert plain.files[0] == "data/textvqa/textvqa_val.jsonl"
    for name in (tokens.name, plain.name):
        metrics = answer_all(name, tmp_path, _0="the red").metrics
        assert (metrics["accuracy"], metrics["accuracy@internvl-v1.2"], metrics["accuracy@official"]) == (100, 100, 100)
    assert {b.groups for b in (tokens, plain)} == {()}


def test_group_is_the_published_one() -> None:
    names = {"vqa-okvqa-val", "vqa-textvqa-val", "vqa-vizwiz-val", "vqa-ai2d-test", "vqa-gqa-testdev"}
    assert {benchmark.name for benchmark in find("vqa")} == names


def test_stored_answers_score_as_computed_by_hand(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root, answers = write_votes(tmp_path), tmp_path / "answers.jsonl"
    write_rows(answers, [{"question_id": 42_000 + place, "answer": "Red."} for place in range(5)])
    command = ["score", str(answers), "--benchmark", "vqa-textvqa-val", "--root", str(root)]
    command += ["--output", str(tmp_path / "out")]
    assert main(command) == 2
    assert "expected 5000 samples, got 5" in capsys.readouterr().err
    assert main([*command, "--allow-size"]) == 0
    folder = tmp_path / "out" / "answers" / "vqa-textvqa-val"
    report = read_report(folder)
    # Over the annotators, in turn left out: 2 red: (2 * 1/3 + 8 * 2/3) / 10; 1: 9 * 1/3 / 10; 3: (3 * 2/3 + 7) / 10.
    by_hand = [0.6, 0.0, 0.3, 0.9, 1.0]
    assert report["score"] == pytest.approx(100 * sum(by_hand) / 5)
    records = [json.loads(line) for line in (folder / "samples.jsonl").read_text().split("\n") if line]
    assert [record["score"] for record in records] == pytest.approx(by_hand)
    assert report["metrics"]["accuracy/answer_type=other"] == report["score"]
    assert "vqa-textvqa-val: accuracy 56.00 [" in capsys.readouterr().out
    submission = json.loads((folder / "submission.json").read_text())
    assert [row["question_id"] for row in submission] == [42_000, 42_001, 42_002, 42_003, 42_004]
