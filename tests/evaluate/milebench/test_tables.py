"""The table of means by hand: each is there when all that it is of is there."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from evaluate.milebench.datasets import CODES, DATASETS
from evaluate.milebench.evaluation import Evaluation, Evaluations, read_evaluation
from evaluate.milebench.tables import render_result, render_table, summarize
from tests.evaluate.milebench.written import describe, write_evaluation

ROUGE = ("ALFRED", "CLEVR-Change", "IEdit", "Spot-the-Diff")


@pytest.fixture
def found(tmp_path: Path) -> dict[str, Evaluation]:
    """All datasets: the n-th has n percent, and one Few sample of that score; TQA has a Many one, too."""
    contents = {}
    for number, name in enumerate(DATASETS):
        value = number / 100
        contents[name] = describe(value, "Rouge-L f" if name in ROUGE else "Accuracy", Few=[value, 1])
    contents["TQA"]["image_quantity_level-Result"]["Many"] = [1, 4]
    return {name: read_evaluation(write_evaluation(tmp_path / name, value)) for name, value in contents.items()}


def test_means_by_hand(found: dict[str, Evaluation]) -> None:
    shown = summarize(found)
    assert list(shown)[:12] == list(CODES)
    numbers = {name: number for number, name in enumerate(DATASETS)}
    temporal = [numbers[name] for name in ("ActionLocalization", "ActionPrediction", "ActionSequence")]
    assert shown["T-1"] == f"{sum(temporal) / 3:.2f}" == "1.00"
    codes = {code: [numbers[name] for name in DATASETS if DATASETS[name].code == code] for code in CODES}
    means = [sum(values) / len(values) for values in codes.values()]
    assert shown["Realistic (mean of codes)"] == f"{sum(means[:9]) / 9:.2f}"
    assert shown["Realistic (mean of datasets)"] == f"{sum(range(26)) / 26:.2f}" == "12.50"
    assert shown["Diagnostic (mean of codes)"] == shown["Diagnostic (mean of datasets)"] == "27.00"
    accuracies = [number for name, number in numbers.items() if name not in ROUGE]
    assert shown["Few"] == f"{sum(accuracies) / 25:.2f}"
    assert shown["Many"] == "25.00"
    assert shown["Medium"] == "- (25/25)"  # no sample of this level


def test_a_gap_is_counted_in_all_means_that_it_is_of(found: dict[str, Evaluation]) -> None:
    del found["TQA"]
    shown = summarize(found)
    assert shown["S-1"] == "- (3/4)"
    assert shown["Realistic (mean of codes)"] == "- (8/9)"
    assert shown["Realistic (mean of datasets)"] == "- (25/26)"
    assert shown["Few"] == "- (24/25)"
    assert (shown["S-5"], shown["Diagnostic (mean of codes)"]) == ("19.00", "27.00")
    assert set(summarize({}).values()) >= {"- (0/3)", "- (0/9)", "- (0/26)", "- (0/25)"}


def test_files_without_sums_have_their_number_and_no_levels(found: dict[str, Evaluation], tmp_path: Path) -> None:
    found["TQA"] = read_evaluation(write_evaluation(tmp_path / "older", {"Accuracy": 0.5}))
    shown = summarize(found)
    assert shown["Few"] == "- (24/25)"
    assert "/" not in shown["S-1"]


def test_rows_are_models_and_say_their_variant(found: dict[str, Evaluation]) -> None:
    head, *rows = csv.reader(render_table(Evaluations({"a,b": found, "c": {}}), "adv").splitlines())
    assert head[:3] == ["Model", "Variant", "T-1"]
    assert [row[:2] for row in rows] == [["a,b", "adv"], ["c", "adv"]]
    assert all(len(row) == len(head) for row in rows)


def test_whole_numbers_look_as_in_the_original(tmp_path: Path) -> None:
    one, two, half = (
        read_evaluation(write_evaluation(tmp_path / str(value), {"Accuracy": value})) for value in (1, 0, 0.5)
    )
    rows = {"a": {"TQA": one, "WebQA": one, "DocVQA": one}, "b": {"TQA": two, "DocVQA": half}}
    expected = "Model,DocVQA (Accuracy),TQA (Accuracy),WebQA (Accuracy)\na,100.0,100,100.0\nb,50.0,0,\n"
    assert render_result(Evaluations(rows)) == expected
