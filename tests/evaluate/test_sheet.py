"""Sheets hold texts as they are."""

from __future__ import annotations

from pathlib import Path

from openpyxl import load_workbook

from evaluate.sheet import write_sheet


def test_texts_are_no_formulas_and_control_characters_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    write_sheet(path, ("index", "text"), [[1, "=1+1"], [1_000_002, "a\x0bb\n答案"], [3, None], [4, "007"]])
    [sheet] = load_workbook(path)
    assert [*sheet.values] == [("index", "text"), (1, "=1+1"), (1_000_002, "ab\n答案"), (3, None), (4, "007")]
    assert sheet["B2"].data_type != "f"
