"""MME: prompts against tests/golden/prompts.json, the three layouts, and a score by hand."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from evaluate.benchmarks.mme import BENCHMARKS, Mme
from evaluate.benchmarks.mme import main as write
from evaluate.benchmarks.mme import write_tables as build_tables
from evaluate.demo.files import write_rows
from evaluate.demo.mme import FOLDER, RELEASE, write_release, write_tables
from evaluate.report import read_report
from evaluate.sample import Generation
from evaluate.score_command import main
from internvl.errors import InputError, MissingError


@pytest.mark.golden("prompts")
def test_prompts_equal_the_published_ones(family: dict[str, Any], tmp_path: Path) -> None:
    write_tables(tmp_path)
    for case in [case for case in family["cases"] if case["input"].get("benchmark") == "mme"]:
        line = f"0000.jpg\t{case['input']['record']['question']}\tYes\n"
        (tmp_path / FOLDER / "Your_Results" / "existence.txt").write_text(2 * line, encoding="utf-8")
        sample = Mme("mme").samples(tmp_path)[1]
        assert sample.prompt.turns[-1].text == "<image>\n" + case["expected"]["question"]


def test_tables_from_the_release_are_those_of_the_authors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tables = Mme("mme").load(write_tables(tmp_path / "tables"))
    monkeypatch.chdir(write_release(tmp_path / "release"))
    assert write() == 0
    assert capsys.readouterr().out.splitlines()[0] == "data/mme/Your_Results/existence.txt"
    release = Mme("mme").load(tmp_path / "release")
    assert [(s.id, s.prompt.turns, s.target) for s in tables] == [(s.id, s.prompt.turns, s.target) for s in release]
    assert len(tables) == 14 * 4
    assert all(picture.is_file() for samples in (tables, release) for s in samples for picture in s.prompt.images)
    greedy, drawn = BENCHMARKS
    assert (greedy.size, greedy.generation) == (2374, Generation(max_new_tokens=20))
    options = {"max_new_tokens": 20, "min_new_tokens": 1, "num_beams": 5, "length_penalty": 1.0}
    sampling = {"do_sample": True, "temperature": 1.0, "top_k": 50, "top_p": 0.9}
    assert (drawn.size, drawn.generation.options()) == (2374, options | sampling)


def test_releases_that_are_not_there_or_broken_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert write() == 2
    assert "error: data/mme/MME_Benchmark_release_version: expected a folder" in capsys.readouterr().err
    flat = write_release(tmp_path) / RELEASE / "count"
    text = flat / "0001.txt"
    text.write_text("Is it?\tMaybe")
    with pytest.raises(InputError, match=r"count/0001\.txt:1: expected a question, a tab, and Yes or No, got 'Is it"):
        build_tables(tmp_path / FOLDER)
    text.write_bytes("是\tYes".encode("gbk"))
    with pytest.raises(InputError, match=r"0001\.txt:1: expected text in UTF-8, got"):
        build_tables(tmp_path / FOLDER)
    (flat / "0001.jpg").unlink()
    with pytest.raises(MissingError, match=r"0001\.txt: expected its picture in .*count"):
        build_tables(tmp_path / FOLDER)
    shutil.rmtree(flat)
    with pytest.raises(MissingError, match=r"count: expected questions, which do not exist"):
        build_tables(tmp_path / FOLDER)
    assert not (tmp_path / FOLDER / "Your_Results").exists()


def test_broken_tables_are_named(tmp_path: Path) -> None:
    table = write_tables(tmp_path) / FOLDER / "Your_Results" / "scene.txt"
    for content, message in (
        ("0000.jpg\tIs it?\tYes\tyes\n", r"scene\.txt:1: expected picture, question and Yes or No between tabs"),
        ("0000.jpg\tIs it?\tyes\n", r"scene\.txt:1: expected .*, got '0000"),
        ("0000.jpg\tIs it?\tYes\n", r"scene\.txt:1: expected two questions about 0000\.jpg, got 1"),
    ):
        table.write_text(content)
        with pytest.raises(InputError, match=message):
            Mme("mme").load(tmp_path)


def test_answers_score_as_computed_by_hand(tmp_path: Path) -> None:
    samples = Mme("mme").load(write_tables(tmp_path))
    rows = [{"id": sample.id, "text": "Yes" if "/0000" in sample.id else "No"} for sample in samples]
    rows[0]["text"] = rows[1]["text"] = "no, 不是"  # the first question of `existence` wrong, the second right
    rows[3]["text"] = "Yes\tor no"
    write_rows(tmp_path / "mine.jsonl", rows)
    command = [str(tmp_path / "mine.jsonl"), "--benchmark", "mme", "--root", str(tmp_path), "--allow-size"]
    assert main([*command, "--output", str(tmp_path / "out")]) == 0
    folder = tmp_path / "out" / "mine" / "mme"
    report = read_report(folder)
    # Half right and no pair in each category; one of the three lines of `existence` that are not lost is right.
    assert report["score"] == pytest.approx(9 * 50 + 100 / 3)
    assert report["metrics"]["cognition"] == 200.0
    lines = (folder / "submission" / "existence.txt").read_text(encoding="utf-8").splitlines()
    assert lines[1] == (
        "0000.jpg\tIs existence 0 in this image, or 上海? Please answer yes or no. "
        "Answer the question using a single word or phrase.\tNo\tno, no"
    )
