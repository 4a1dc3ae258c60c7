"""The table of several models against tests/golden/milebench_score.json, and what happens to files that are broken."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from evaluate.__main__ import main
from evaluate.milebench.datasets import DATASETS
from tests.evaluate.milebench.written import describe, write_evaluation


def call(folder: Path, *models: str) -> int:
    return main(["milebench-table", "--result-dir", str(folder), "--models", *models])


@pytest.mark.golden("milebench_score")
def test_tables_agree_with_the_original(case: dict[str, Any], tmp_path: Path) -> None:
    models, stored, expected = case["input"]["models"], case["input"]["eval"], case["expected"]
    for model, datasets in stored.items():
        for dataset, content in datasets.items():
            write_evaluation(tmp_path / model / dataset, content)
    # A model without any file is a mistyped one; the tables are those of the original all the same.
    assert call(tmp_path, *models) == (0 if all(stored.get(model) for model in models) else 2)
    assert (tmp_path / "result.csv").read_bytes() == expected["result.csv"].encode()
    assert (tmp_path / "result.json").read_text() == json.dumps(expected["result.json"], indent=4, ensure_ascii=False)


@pytest.mark.parametrize(
    "broken", ["", "[]", "{}", '{"Accuracy": "0.5"}', '{"Accuracy": NaN}', '{"Accuracy": 0.5, "image']
)
def test_broken_file_is_an_empty_cell_and_told(broken: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_evaluation(tmp_path / "m" / "TQA", describe(0.25))
    path = write_evaluation(tmp_path / "m" / "WebQA", broken)
    write_evaluation(tmp_path / "n" / "WebQA", describe(0.5))
    assert call(tmp_path, "m", "n") == 2
    assert str(path) in capsys.readouterr().err
    # The original gives WebQA the number of TQA.
    assert (tmp_path / "result.csv").read_text() == "Model,TQA (Accuracy),WebQA (Accuracy)\nm,25.0,\nn,,50.0\n"


def test_everything_that_is_missing_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in list(DATASETS)[:-2]:
        write_evaluation(tmp_path / "m" / name, describe(0.5))
    assert call(tmp_path, "m") == 0
    said = capsys.readouterr()
    assert said.err == "note: m: no number for 2 of 29 datasets (ImageNeedleInAHaystack, GPR1200)\n"
    assert "Diagnostic (mean of codes)" in said.out
    assert call(tmp_path, "m", "ghost") == 2
    assert f"{tmp_path / 'ghost'}: expected <dataset>/eval.json, got none" in capsys.readouterr().err
    assert call(tmp_path / "nowhere", "m") == 2
    assert not (tmp_path / "nowhere").exists()


def test_runs_of_ours_make_the_same_table_without_their_variants(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_evaluation(tmp_path / "m" / "milebench-OCR-VQA", describe(0.5))
    write_evaluation(tmp_path / "m" / "milebench-tqa", describe(0.25))
    write_evaluation(tmp_path / "m" / "milebench-tqa-adv", describe(1))
    assert call(tmp_path, "m") == 0
    assert (tmp_path / "result.csv").read_text() == "Model,OCR-VQA (Accuracy),TQA (Accuracy)\nm,50.0,25.0\n"
    write_evaluation(tmp_path / "n" / "milebench-tqa-adv", describe(1))
    assert call(tmp_path, "n") == 2
    assert (
        f"those of variants alone (-adv); their tables are in {tmp_path / 'n' / 'milebench'}" in capsys.readouterr().err
    )
