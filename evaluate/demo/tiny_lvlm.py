"""A small set in the layout of Tiny LVLM-eHub, with pictures, and answers to it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from evaluate.demo.caption import draw
from evaluate.demo.files import write_json
from evaluate.scorers.word_match import ABILITIES

FOLDER = "data/tiny_lvlm/updated_datasets"
ANSWERS = ("Two cats.", "no", "It is the Eiffel Tower", "yes and no", "a bus", "dogs", "Yes", "", "3", "café")
"""What a model may say to the questions, two per ability."""
_ACCEPTED = ("2", "yes", ["tower", "paris"], "no", "bus", "dog", ["yes"], "no", "3", "CAFÉ")


def list_questions() -> list[dict[str, Any]]:
    """Two questions per ability."""
    return [
        {"image_path": f"{number % 2}.jpg", "question": f"What is number {number}?", "gt_answers": accepted}
        for number, accepted in enumerate(_ACCEPTED)
    ]


def write_tiny_lvlm(root: Path) -> Path:
    """Five files, and their pictures."""
    rows = list_questions()
    for place, ability in enumerate(ABILITIES):
        write_json(root / FOLDER / ability / "dataset.json", rows[2 * place : 2 * place + 2])
        draw(root / FOLDER / ability, "0.jpg", "1.jpg")
    return root
