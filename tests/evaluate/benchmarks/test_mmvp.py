"""MMVP: prompts against tests/golden/prompts.json, a small set in the official layout, and a score by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from evaluate.benchmarks.mmvp import Mmvp
from evaluate.demo.files import write_rows
from evaluate.demo.mmvp import HEADER, QUESTIONS, list_rows, write_mmvp, write_table
from evaluate.report import read_report
from evaluate.score_command import main
from internvl.errors import InputError


@pytest.mark.golden("prompts")
def test_prompts_equal_the_published_ones(family: dict[str, Any], tmp_path: Path) -> None:
    for case in [case for case in family["cases"] if case["input"].get("benchmark") == "mmvp"]:
        record = case["input"]["record"]
        cells = tuple(record[name] for name in HEADER[1:])
        write_table(tmp_path, [(number, *cells) for number in (1, 2)])
        sample = Mmvp("mmvp").samples(tmp_path)[0]
        assert sample.prompt.turns[-1].text == "<image>\n" + case["expected"]["question"]
        assert (sample.target.answer, sample.target.options) == (case["expected"]["gold"], case["expected"]["options"])


def test_pairs_are_told_by_number_and_score_as_computed_by_hand(tmp_path: Path) -> None:
    write_mmvp(tmp_path)
    rows = list_rows()
    write_table(tmp_path, [*rows[3:], *rows[:3]], ("Index", *HEADER[1:]))
    samples = Mmvp("mmvp").load(tmp_path)
    assert [(sample.id, sample.target.pair) for sample in samples[:3]] == [("4", 1), ("5", 2), ("6", 2)]
    assert samples[1].target.options == {"A": 'Red "ish"', "B": "Grün"}
    said = {"1": "A", "2": "B. Closed", "3": "A", "4": "A", "5": "Red", "6": "Grün"}
    write_rows(tmp_path / "mine.jsonl", [{"id": name, "text": text} for name, text in said.items()])
    command = [str(tmp_path / "mine.jsonl"), "--benchmark", "mmvp", "--root", str(tmp_path), "--allow-size"]
    assert main([*command, "--output", str(tmp_path / "out")]) == 0
    report = read_report(tmp_path / "out" / "mine" / "mmvp")
    # "Red" is no letter and the whole of no option; "Grün" is the text of B.
    assert report["score"] == pytest.approx(100 / 3)
    assert (report["metrics"]["single_accuracy"], report["num_unparsed"]) == (pytest.approx(400 / 6), 1)


def test_four_labels_are_corrected_beside_the_published_ones(tmp_path: Path) -> None:
    rows = [(number, "Is it?", "(a) x (b) y", "(a)") for number in range(97, 103)]
    write_table(tmp_path, rows)
    targets = [sample.target for sample in Mmvp("mmvp").samples(tmp_path)]
    assert [(target.answer, target.relabelled) for target in targets] == [("A", "AABBAA"[n]) for n in range(6)]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (list_rows()[:-1], "expected the questions 5 and 6, got 1 of them"),
        ([("one", *list_rows()[0][1:])], r"csv:3: expected a number, options .* got 'one', '\(a\) Open"),
        ([(*list_rows()[0][:3], "(c)")], r"csv:3: expected .* got '1', .* and '\(c\)'"),
        ([(1, "Q")], r"csv:2: expected .* got '1', '' and ''"),
    ],
)
def test_rows_that_do_not_fit_are_named(tmp_path: Path, rows: list[Any], message: str) -> None:
    write_table(tmp_path, rows)
    with pytest.raises(InputError, match=message):
        Mmvp("mmvp").samples(tmp_path)


def test_another_table_is_named(tmp_path: Path) -> None:
    write_table(tmp_path, [], ("number", "Question"))
    with pytest.raises(InputError, match=r"Questions\.csv: expected the columns lndex .* got number, Question; get"):
        Mmvp("mmvp").load(tmp_path)
    (tmp_path / QUESTIONS).write_bytes("lndex,Frage über".encode("latin-1"))
    with pytest.raises(InputError, match=r"csv:1: expected text in UTF-8, got"):
        Mmvp("mmvp").load(tmp_path)
