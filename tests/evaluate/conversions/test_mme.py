"""MME: the tables that the command of the benchmark writes, too."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from evaluate.benchmarks.mme import write_tables
from evaluate.conversions.mme import CONVERSIONS
from evaluate.demo.mme import FOLDER, RELEASE, write_release
from tests.evaluate.originals import load, prepare


def test_tables_are_those_of_the_benchmark(tmp_path: Path) -> None:
    write_release(tmp_path)
    (tmp_path / RELEASE).rename(tmp_path / FOLDER / "MME_Benchmark_release")
    assert len(load(tmp_path, "mme")) == 14 * 4
    made = {path.name: path.read_bytes() for path in (tmp_path / FOLDER / "Your_Results").glob("*.txt")}
    note = json.loads((tmp_path / FOLDER / "Your_Results/OCR.txt.source.json").read_text())
    assert (note["num_rows"], note["sources"][0]["files"]) == (4, 28)
    shutil.rmtree(tmp_path / FOLDER / "Your_Results")
    assert {path.name: path.read_bytes() for path in write_tables(tmp_path / FOLDER)} == made
    assert sum(row.size or 0 for row in CONVERSIONS) == 2374


def test_a_category_without_questions_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_release(tmp_path)
    shutil.rmtree(tmp_path / RELEASE / "OCR")
    assert prepare(tmp_path, "mme") == 2
    told = capsys.readouterr().err.replace(f"{tmp_path}/", "")
    assert f"error: {RELEASE}: expected rows for {FOLDER}/Your_Results/OCR.txt, got none; get the file again" in told
