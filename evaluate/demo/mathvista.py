"""A small MathVista in the layout of its hub: choices, whole and decimal numbers, a list, and a text, in tables."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow  # type: ignore[import-untyped]
from pyarrow import parquet

from evaluate.demo.pictures import draw

FOLDER = Path("data/MathVista")
Row = dict[str, Any]
TEXT = pyarrow.string()
_ABOUT = ("category", "context", "grade", "language", "source", "split", "task")
SCHEMA = pyarrow.schema(
    [
        *((name, TEXT) for name in ("pid", "question", "image")),
        ("decoded_image", pyarrow.struct([("bytes", pyarrow.binary()), ("path", TEXT)])),
        ("choices", pyarrow.list_(TEXT)),
        ("unit", TEXT),
        ("precision", pyarrow.float64()),
        *((name, TEXT) for name in ("answer", "question_type", "answer_type")),
        (
            "metadata",
            pyarrow.struct(
                [
                    *((name, TEXT) for name in _ABOUT),
                    *((name, pyarrow.int64()) for name in ("img_height", "img_width")),
                    ("skills", pyarrow.list_(TEXT)),
                ]
            ),
        ),
        ("query", TEXT),
    ]
)
_QUESTIONS: tuple[tuple[str, str, str, list[str] | None, float | None, str | None], ...] = (
    ("multi_choice", "text", "8/11", ["3/11", "8/11", "6/11"], None, None),
    ("free_form", "integer", "14", None, None, "cm"),
    ("free_form", "float", "0.6", None, 1.0, None),
    ("free_form", "list", "[2007, 2008]", None, None, None),
    ("free_form", "float", "1.45", None, 2.0, "$"),
    ("multi_choice", "text", "∠ABC = 60°", ["∠ABC = 60°", "无法确定"], None, None),
)


def list_rows(split: str = "testmini", times: int = 1) -> list[Row]:
    """A question of each kind, so many times; some with two skills, the last of each round in Chinese."""
    rows = []
    for number, (question_type, answer_type, answer, choices, precision, unit) in enumerate(_QUESTIONS * times, 1):
        is_chinese = number % len(_QUESTIONS) == 0
        about: Row = dict.fromkeys(_ABOUT, "")
        about |= {
            "category": "general-vqa" if number % 2 else "math-targeted-vqa",
            "context": "bar chart",
            "grade": "high school",
            "language": "chinese" if is_chinese else "english",
            "source": "GeoQA+" if is_chinese else "PlotQA",
            "split": split,
            "task": "figure question answering",
            **{"img_height": 24, "img_width": 32},
            "skills": ["arithmetic reasoning", "statistical reasoning"][: 1 + number % 2],
        }
        question = "如图，∠ABC 是多少？" if is_chinese else f"How much is it in picture {number}?"
        listed = "".join(f"\n({letter}) {choice}" for letter, choice in zip("ABC", choices or (), strict=False))
        rows.append(
            {
                "pid": str(number),
                "question": question,
                "image": f"images/{number}.jpg",
                "decoded_image": {"bytes": draw(number), "path": f"{number}.jpg"},
                **{"choices": choices, "unit": unit, "precision": precision},
                "answer": "" if split == "test" else answer,
                **{"question_type": question_type, "answer_type": answer_type},
                "metadata": about,
                "query": f"Hint: Please answer the question.\nQuestion: {question}"
                + (f"\nChoices:{listed}" if choices else ""),
            }
        )
    return rows


def write_table(path: Path, rows: list[Row]) -> None:
    """Rows as the hub stores them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pyarrow.Table.from_pylist(rows, SCHEMA), path)


def write_mathvista(root: Path, split: str = "testmini", times: int = 1) -> Path:
    """A split; the test set is cut in two, and the names of its tables end as those of the hub do."""
    rows = list_rows(split, times)
    (root / FOLDER).mkdir(parents=True, exist_ok=True)
    (root / FOLDER / "README.md").write_text("# MathVista\n", encoding="utf-8")
    for number, part in enumerate([rows[:2], rows[2:]] if split == "test" else [rows]):
        ending = "00002-6b81bd7f7e2065e6" if split == "test" else "00001"
        write_table(root / FOLDER / "data" / f"{split}-{number:05}-of-{ending}.parquet", part)
    if split == "testmini":
        answers = {row["pid"]: {name: row[name] for name in SCHEMA.names if name != "decoded_image"} for row in rows}
        path = root / FOLDER / "annot_testmini.json"
        path.write_text(json.dumps(answers, indent=1), encoding="utf-8")
    return root
