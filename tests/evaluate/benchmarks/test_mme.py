"""MME: prompts against tests/golden/prompts.json, the three layouts, and a score by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from evaluate.benchmarks.mme import BENCHMARKS, Mme
from evaluate.report import read_report
from evaluate.sample import Generation
from evaluate.score_command import main
from internvl.errors import InputError, MissingError
from tests.evaluate.layouts_mme import FOLDER, RELEASE, ask, write_release, write_tables
from tests.evaluate.questions import write_rows


@pytest.mark.golden("prompts")
def test_prompts_equal_the_published_ones(family: dict[str, Any], tmp_path: Path) -> None:
    write_tables(tmp_path)
    for case in [case for case in family["cases"] if case["input"].get("benchmark") == "mme"]:
        line = f"0000.jpg\t{case['input']['record']['question']}\tYes\n"
        (tmp_path / FOLDER / "Your_Results" / "existence.txt").write_text(2 * line, encoding="utf-8")
        sample = Mme("mme").samples(tmp_path)[1]
        assert sample.prompt.turns[-1].text == "<image>\n" + case["expected"]["question"]


def test_all_layouts_hold_the_same_questions(tmp_path: Path) -> None:
    tables = Mme("mme").load(write_tables(tmp_path / "tables"))
    release = Mme("mme").load(write_release(tmp_path / "release"))
    assert [(s.id, s.prompt.turns, s.target) for s in tables] == [(s.id, s.prompt.turns, s.target) for s in release]
    assert len(tables) == 14 * 4
    assert all(picture.is_file() for samples in (tables, release) for s in samples for picture in s.prompt.images)
    # Tables of the authors beside their own pictures.
    (tmp_path / "release" / FOLDER / "Your_Results").symlink_to(tmp_path / "tables" / FOLDER / "Your_Results")
    both = Mme("mme").load(tmp_path / "release")
    assert [s.prompt.images for s in both] == [s.prompt.images for s in release]
    [benchmark] = BENCHMARKS
    assert (benchmark.size, benchmark.generation) == (2374, Generation(max_new_tokens=20))


def test_data_that_is_not_there_or_broken_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"mme: expected .*release_version or .*Your_Results, which do not exist"):
        Mme("mme").load(tmp_path)
    write_release(tmp_path)
    flat = tmp_path / RELEASE / "count"
    text, question = flat / "0001.txt", ask("count", 1)[0][0]
    for content, message in (
        (f"{question}\tYes", "expected two questions about count/0001.jpg, got 1"),
        (f"{question}\tMaybe\n{question}\tNo", r"count/0001\.txt:1: expected Yes or No as answer, got 'Maybe'"),
        (f"{question} Yes", r"count/0001\.txt:1: expected question, tab and answer, got no tab"),
    ):
        text.write_text(content)
        with pytest.raises(InputError, match=message):
            Mme("mme").load(tmp_path)
    text.write_bytes("是\tYes".encode("gbk"))
    with pytest.raises(InputError, match=r"0001\.txt: expected text in UTF-8, got"):
        Mme("mme").load(tmp_path)
    (flat / "0001.jpg").unlink()
    with pytest.raises(MissingError, match=r"0001\.txt: expected its picture in .*count"):
        Mme("mme").load(tmp_path)


def test_broken_tables_are_named(tmp_path: Path) -> None:
    table = write_tables(tmp_path) / FOLDER / "Your_Results" / "scene.txt"
    table.write_text("0000.jpg\tIs it?\tYes\tyes\n")
    with pytest.raises(InputError, match=r"scene\.txt:1: expected picture, question and answer between tabs, got 4"):
        Mme("mme").load(tmp_path)
    table.unlink()
    with pytest.raises(MissingError, match=r"scene\.txt: expected questions, which do not exist"):
        Mme("mme").load(tmp_path)


def test_answers_score_as_computed_by_hand(tmp_path: Path) -> None:
    samples = Mme("mme").load(write_release(tmp_path))
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
