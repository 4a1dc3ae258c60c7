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


def test_half_of_a_character_leaves_a_sheet_that_opens(tmp_path: Path) -> None:
    write_sheet(tmp_path / "a.xlsx", ["text"], [["half \ud83d\x0b"]])
    [sheet] = load_workbook(tmp_path / "a.xlsx")
    assert [*sheet.values] == [("text",), ("half ?",)]
