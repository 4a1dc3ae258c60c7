"""A small MMBench in the official layout: pictures in a table, rotations, hints, two to four options, and `None`."""

from __future__ import annotations

import base64
import csv
from collections.abc import Sequence
from pathlib import Path

from evaluate.demo.pictures import draw

TABLES = {
    "mmbench-dev-en": Path("data/mmbench/mmbench_dev_20230712.tsv"),
    "mmbench-dev-cn": Path("data/mmbench/mmbench_dev_cn_20231003.tsv"),
    "mmbench-test-en": Path("data/mmbench/mmbench_test_en_20231003.tsv"),
    "mmbench-test-cn": Path("data/mmbench/mmbench_test_cn_20231003.tsv"),
    "ccbench-dev": Path("data/mmbench/CCBench_legacy.tsv"),
}
COLUMNS = (
    *("index", "question", "hint", "A", "B", "C", "D", "answer"),
    *("category", "image", "source", "l2-category", "comment", "split"),
)
CCBENCH_COLUMNS = ("index", "question", "A", "B", "C", "D", "answer", "category", "image")
_OPTIONS: tuple[tuple[str, ...], ...] = (
    *(("cat", "dog"), ("None", "NA", "n/a"), ("猫", "狗", "鸟", '"fish"')),
    *(("null", "nan", "-", "0"), ("A", "B"), ("a\nline", "a tab?", f"very{' very' * 60} long", "…")),
)
_ABILITIES = (("ocr", "finegrained_perception (instance-level)"), ("image_scene", "coarse_perception"))
Row = dict[str, str]


def list_rows(num_questions: int = 3, *, hidden: bool = False) -> list[Row]:
    """Every question once per option, the options moved on by one each time."""
    rows = []
    for number in range(num_questions):
        texts = _OPTIONS[number % len(_OPTIONS)]
        for turn in range(len(texts)):
            moved = [*texts[turn:], *texts[:turn]]
            row = {
                "index": str(number + 10 + turn * 1_000_000),
                "question": f"What is in picture {number}?\nLook well.",
                "hint": "Some hint." if number % 2 else "",
                **dict(zip("ABCD", [*moved, "", ""], strict=False)),
                "answer": "ABCD"[moved.index(texts[0])],
                "image": base64.b64encode(draw(number)).decode(),
                **dict(zip(("category", "l2-category"), _ABILITIES[number % 2], strict=True)),
                "split": "test" if hidden else "dev",
            }
            rows.append({name: row.get(name, "") for name in COLUMNS if not hidden or name != "answer"})
    return rows


def write_table(root: Path, name: str, rows: list[Row]) -> Path:
    """The table of a benchmark."""
    path = root / TABLES[name]
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter="\t", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return root


def write_mmbench(root: Path, num_questions: int = 3, names: Sequence[str] = tuple(TABLES)) -> Path:
    """All tables, or those that are named; in the hidden ones rotations name the row that holds their picture."""
    for name in names:
        rows = list_rows(num_questions, hidden="test" in name)
        if "test" in name:
            rows = [{**row, "image": row["image"] if len(row["index"]) < 7 else row["index"][-2:]} for row in rows]
        if name.startswith("ccbench") or name.endswith("cn"):
            rows = [{**row, "question": f"看图。{row['question']}"} for row in rows]
        if name.startswith("ccbench"):
            rows = [{key: row[key] for key in CCBENCH_COLUMNS} for row in rows]
        write_table(root, name, rows)
    return root
