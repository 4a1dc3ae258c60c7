"""A small MMVP in the official layout: a table with quoted cells, and a picture per question."""

from __future__ import annotations

import csv
from pathlib import Path

from evaluate.demo.pictures import write_picture

FOLDER = Path("data/MMVP")
QUESTIONS = FOLDER / "Questions.csv"
HEADER = ("lndex", "Question", "Options", "Correct Answer")
Row = tuple[object, str, str, str]
_OPTIONS = (
    *("(a) Open (b) Closed", "(a)One, or two(b)Three", '(a) Red "ish" (b) Grün', "(a) Yes (b) No"),
    *("(a) 左 (b) 右", "(a) The butterfly's wings (b) Not the butterfly's wings"),
)


def list_rows(num_pairs: int = 3) -> list[Row]:
    """The same question about both pictures of a pair, with other answers."""
    return [
        (2 * pair + place + 1, f"Is door {pair}, the\nleft one, open?", _OPTIONS[pair % len(_OPTIONS)], answer)
        for pair in range(num_pairs)
        for place, answer in enumerate(("(a)", "(b)"))
    ]


def write_table(root: Path, rows: list[Row], header: tuple[str, ...] = HEADER) -> None:
    """The table of questions."""
    (root / FOLDER).mkdir(parents=True, exist_ok=True)
    with (root / QUESTIONS).open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])


def write_mmvp(root: Path, num_pairs: int = 3) -> Path:
    """All files."""
    rows = list_rows(num_pairs)
    write_table(root, rows)
    for number in range(1, len(rows) + 1):
        write_picture(root / FOLDER / "MMVP Images" / f"{number}.jpg", number)
    return root
