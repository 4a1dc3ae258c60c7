"""A small MMMU in the layout of its hub: a folder per subject, several pictures, options in a text, both kinds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from evaluate.demo.pictures import draw
from evaluate.scorers.mmmu import SUBJECTS

FOLDER = Path("data/MMMU")
Row = dict[str, Any]
_KINDS = (
    ("<image 1> and <image 2>: which is it, {}?", "['<image 3>', \"the other's \", 'None']", "B", 3),
    ("Find x in <image 1>, {}.", "[]", "['24/7', '3.43']", 1),
    (
        "Seven pictures, in no order: <image 7><image 2><image 3><image 4><image 5><image 6>, and <image 1> of {}.",
        "['$\\\\frac{1}{2}$', 'π', '<image 1>', 'None of the above', 'a, b', '7', 'N/A', '(H)', 'I']",
        "I",
        7,
    ),
    ("<image 1> What is it called in No. {}?\n" + "Look at every line. " * 30, "[]", "Überlandleitung", 1),
)
"""Question, options, answer and pictures: choice and open in turn."""


def list_rows(subject: str, split: str, count: int = 2, first: int = 1) -> list[Row]:
    """In turn a choice about two pictures and an open question about one; then what is harder.

    Args:
        subject: one of thirty.
        split: as the hub calls it.
        count: how many.
        first: number of the first one.
    """
    rows = []
    place = SUBJECTS.index(subject)
    for number in range(first, first + count):
        is_open = number % 2 == 0
        question, options, answer, num_pictures = _KINDS[(number - 1) % len(_KINDS)]
        row: Row = {
            "id": f"{split}_{subject}_{number}",
            "question": question.format(place),
            "options": options,
            "explanation": "",
            "answer": answer,
            "question_type": "open" if is_open else "multiple-choice",
            "subfield": "Überblick",
            **{f"image_{k}": None for k in range(1, 8)},
        }
        for k in range(1, 1 + num_pictures):
            row[f"image_{k}"] = {"bytes": draw(10 * place + k, "PNG"), "path": f"{k}.png"}
        rows.append(row if split != "test" else {**row, "answer": "?"})
    return rows


def write_table(path: Path, rows: list[Row]) -> None:
    """Rows as the hub stores them: pictures as bytes beside their names."""
    import pyarrow  # type: ignore[import-untyped]
    from pyarrow import parquet

    picture = pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])
    pictures = {f"image_{number}" for number in range(1, 8)}
    kinds = [(name, picture if name in pictures else pyarrow.string()) for name in rows[0]]
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pyarrow.Table.from_pylist(rows, pyarrow.schema(kinds)), path)


def write_mmmu(root: Path, split: str = "validation", count: int = 2, *, harder: bool = False) -> Path:
    """A split; the last subject of the test set is cut in two.

    Args:
        root: folder that data lies in.
        split: as the hub calls it.
        count: questions per subject.
        harder: every second subject has those with more pictures, options and words.
    """
    (root / FOLDER).mkdir(parents=True, exist_ok=True)
    (root / FOLDER / "README.md").write_text("# MMMU\n", encoding="utf-8")
    for place, subject in enumerate(SUBJECTS):
        rows = list_rows(subject, split, count, 1 + 2 * (place % 2) if harder else 1)
        parts = [rows[:1], rows[1:]] if split == "test" and subject == SUBJECTS[-1] else [rows]
        for number, part in enumerate(parts):
            write_table(root / FOLDER / subject / f"{split}-{number:05}-of-{len(parts):05}.parquet", part)
    return root
