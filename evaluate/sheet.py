"""Writing a spreadsheet that a test server takes: texts stay texts, whatever they begin with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

Cell = str | int | None


def write_sheet(path: Path, header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> None:
    """One sheet; control characters, which the format cannot hold, are left out, and halves of characters are `?`."""
    from openpyxl import Workbook  # type: ignore[import-untyped]
    from openpyxl.cell import WriteOnlyCell  # type: ignore[import-untyped]
    from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE  # type: ignore[import-untyped]

    book = Workbook(write_only=True)
    sheet = book.create_sheet("Sheet1")
    sheet.append(list(header))
    for row in rows:
        cells = []
        for value in row:
            if isinstance(value, str):
                value = ILLEGAL_CHARACTERS_RE.sub("", value).encode("utf-8", "replace").decode()
            cell = WriteOnlyCell(sheet, value)
            if isinstance(value, str):
                cell.data_type = "s"  # otherwise an answer that begins with = is a formula
            cells.append(cell)
        sheet.append(cells)
    book.save(path)
