"""A small CMMMU in the layout of its hub: a folder per part, the three kinds of questions, tags of pictures."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from evaluate.demo.mmmu import write_table
from evaluate.demo.pictures import draw

FOLDER = Path("data/CMMMU")
PARTS = (
    *("art_and_design", "business", "health_and_medicine", "humanities_and_social_sciences", "science"),
    "technology_and_engineering",
)
_TAG = re.compile(r'<img="[^"]*">')
SUBJECTS = ("设计", "金融", "公共卫生", "历史", "数学", "建筑学")
Row = dict[str, Any]


def list_rows(part: str, split: str, count: int = 3) -> list[Row]:
    """A choice about two pictures with two right letters, true or false, blanks, and a choice about five pictures."""
    place = PARTS.index(part)
    tags = [f'<img="q_{place:05}_{number:03}.png">' for number in range(1, 6)]
    first, second = tags[:2]
    questions = (
        ("选择", f"比较{first}和{second}，再看{first}", ("红色", "蓝色", second, "黄色"), "AB"),
        ("判断", f"{first}是圆的。", ("", "", "", ""), "错"),
        ("填空", f"{first}中有____个", ("", "", "", ""), "42"),
        ("选择", f"哪些是对的？{''.join(reversed(tags))}", (*tags[:3], "以上都不对"), "D"),
        ("填空", f"{first}的面积等于____，" + "请看图。" * 50, ("", "", "", ""), "1，000.5"),
    )[:count]
    rows = []
    for number, (kind, question, options, answer) in enumerate(questions):
        row: Row = {
            "id": str(count * place + number + 1),
            "type": kind,
            "question": question,
            **{f"option{k}": option for k, option in enumerate(options, 1)},
            "answer": "?" if split == "test" else answer,
            "subcategory": SUBJECTS[place],
            **{f"image_{k}": None for k in range(1, 6)},
            **{f"image_{k}_filename": None for k in range(1, 6)},
        }
        for k in range(1, 1 + len(dict.fromkeys(_TAG.findall(question + "".join(options))))):
            row[f"image_{k}_filename"] = tags[k - 1][6:-2]
            row[f"image_{k}"] = {"bytes": draw(10 * place + k, "PNG"), "path": f"{k}.png"}
        rows.append(row)
    return rows


def write_cmmmu(root: Path, split: str = "val", count: int = 3) -> Path:
    """A split; the test set of a part is cut in two."""
    (root / FOLDER).mkdir(parents=True, exist_ok=True)
    (root / FOLDER / "README.md").write_text("# CMMMU\n", encoding="utf-8")
    for part in PARTS:
        rows = list_rows(part, split, count)
        pieces = [rows[:1], rows[1:]] if split == "test" and part == "science" else [rows]
        for number, piece in enumerate(pieces):
            write_table(root / FOLDER / part / f"{split}-{number:05}-of-{len(pieces):05}.parquet", piece)
    return root
