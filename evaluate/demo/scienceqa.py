"""A small ScienceQA in the official layout: hints of several lines, two to five choices."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from evaluate.demo.files import write_rows
from evaluate.demo.pictures import write_picture

QUESTIONS = Path("data/scienceqa/scienceqa_test_img.jsonl")
_CHOICES = (
    ["Maine", "Vermont", "Ohio", "México", "New Mexico"],
    ["None of these", "A. B.", 'the "red" one, or both', "½ kg", "H₂O"],
)
_HINTS = ("Read the table.\nIt has two columns.", f"The passage is long. {'It goes on and on. ' * 30}", "Figure: 日本.")


def list_rows(count: int = 6) -> list[dict[str, Any]]:
    """Questions with hints and without."""
    return [
        {
            "image": f"data/scienceqa/images/test/{5 + 7 * number}/image.png",
            "question": f"Which state is highlighted, {number}?",
            "choices": _CHOICES[number // 8 % len(_CHOICES)][: 2 + number % 4],
            "answer": number % 2,
            "hint": "" if number % 3 else _HINTS[number // 6 % len(_HINTS)],
        }
        for number in range(count)
    ]


def write_scienceqa(root: Path, count: int = 6) -> Path:
    """All files."""
    rows = list_rows(count)
    write_rows(root / QUESTIONS, rows)
    for number, row in enumerate(rows):
        write_picture(root / row["image"], number)
    return root
