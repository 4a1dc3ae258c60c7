"""A small set in the layout of Tiny LVLM-eHub, with pictures, and answers to it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from evaluate.demo.files import write_json
from evaluate.demo.pictures import write_picture
from evaluate.scorers.word_match import ABILITIES

FOLDER = "data/tiny_lvlm/updated_datasets"
ANSWERS = ("Two cats.", "no", "It is the Eiffel Tower", "yes and no", "a bus", "dogs", "Yes", "", "3", "café")
"""What a model may say to the questions, two per ability."""
_ACCEPTED: tuple[str | list[str], ...] = (
    *("2", "yes", ["tower", "paris"], "no", "bus", "dog", ["yes"], "no", "3", "CAFÉ"),
    *("C++", ["a. b", "c/d", "1,000"], "two\nlines", "no", "北京", "yes", "don't know", ["0.5", "half"], "no", "$3"),
)


def list_questions(count: int = 10) -> list[dict[str, Any]]:
    """Questions whose right answers are one or several, with signs that have a meaning in patterns."""
    return [
        {"image_path": f"{number % 2}.jpg", "question": f"What is number {number}?", "gt_answers": accepted}
        for number, accepted in enumerate(_ACCEPTED[:count])
    ]


def write_tiny_lvlm(root: Path, count: int = 10) -> Path:
    """Five files with as many questions, and their pictures."""
    rows, each = list_questions(count), count // len(ABILITIES)
    for place, ability in enumerate(ABILITIES):
        write_json(root / FOLDER / ability / "dataset.json", rows[each * place : each * (place + 1)])
        for number in range(2):
            write_picture(root / FOLDER / ability / f"{number}.jpg", 2 * place + number)
    return root
