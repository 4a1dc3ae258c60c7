"""A small MMMU in the layout of its hub: a folder per subject, several pictures, options in a text, both kinds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from evaluate.demo.pictures import draw
from evaluate.scorers.mmmu import SUBJECTS

FOLDER = Path("data/MMMU")
Row = dict[str, Any]


def list_rows(subject: str, split: str, count: int = 2) -> list[Row]:
    """In turn a choice about two pictures and an open question about one."""
    rows = []
    for number in range(1, count + 1):
        is_open = number % 2 == 0
        place = SUBJECTS.index(subject)
        row: Row = {
            "id": f"{split}_{subject}_{number}",
            "question": f"Find x in <image 1>, {place}."
            if is_open
            else f"<image 1> and <image 2>: which is it, {place}?",
            "options": "[]" if is_open else "['<image 3>', \"the other's \", 'None']",
            "explanation": "",
            "answer": "['24/7', '3.43']" if is_open else "B",
            "question_type": "open" if is_open else "multiple-choice",
            "subfield": "Überblick",
            **{f"image_{k}": None for k in range(1, 8)},
        }
        for k in range(1, 2 if is_open else 4):
            row[f"image_{k}"] = {"bytes": draw(10 * place + k, "PNG"), "path": f"{k}.png"}
        rows.append(row if split != "test" else {**row, "answer": "?"})
    return rows


def write_table(path: Path, rows: list[Row]) -> None:
    """Rows as the hub stores them: pictures as bytes beside their names."""
    import pyarrow  # type: ignore[import-untyped]
    from pyarrow import parquet

    picture = pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])
    names = list(rows[0])
    kinds = [(name, picture if name.startswith("image_") else pyarrow.string()) for name in names]
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pyarrow.Table.from_pylist(rows, pyarrow.schema(kinds)), path)


def write_mmmu(root: Path, split: str = "validation", count: int = 2) -> Path:
    """A split; the last subject of the test set is cut in two."""
    (root / FOLDER).mkdir(parents=True, exist_ok=True)
    (root / FOLDER / "README.md").write_text("# MMMU\n", encoding="utf-8")
    for subject in SUBJECTS:
        rows = list_rows(subject, split, count)
        parts = [rows[:1], rows[1:]] if split == "test" and subject == SUBJECTS[-1] else [rows]
        for number, part in enumerate(parts):
            write_table(root / FOLDER / subject / f"{split}-{number:05}-of-{len(parts):05}.parquet", part)
    return root
