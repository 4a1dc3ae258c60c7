"""A small POPE in the official layout: one file of questions, labels per category that start counting again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from evaluate.demo.files import write_rows
from evaluate.demo.pictures import write_picture

FOLDER = Path("data/pope")
QUESTIONS = FOLDER / "llava_pope_test.jsonl"
CATEGORIES = ("adversarial", "popular", "random")
PROMPT = "\nAnswer the question using a single word or phrase."
NUM_PICTURES = 3


def label_file(category: str) -> Path:
    """Where the labels of a category lie."""
    return FOLDER / "coco" / f"coco_pope_{category}.json"


def list_labels(category: str, num_pictures: int = NUM_PICTURES) -> list[dict[str, Any]]:
    """Two objects per picture: one that is there, one that is not."""
    return [
        {
            "question_id": 2 * picture + place + 1,
            "image": f"COCO_val2014_{picture:012}.jpg",
            "text": f"Is there a {thing} in the image?",
            "label": label,
        }
        for picture in range(num_pictures)
        for place, (thing, label) in enumerate([("person", "yes"), (f"{category} café", "no")])
    ]


def list_questions(num_pictures: int = NUM_PICTURES) -> list[dict[str, Any]]:
    """What is asked: the labels of all categories without the answers."""
    return [
        {**{key: row[key] for key in ("question_id", "image")}, "text": row["text"] + PROMPT, "category": category}
        for category in CATEGORIES
        for row in list_labels(category, num_pictures)
    ]


def write_pope(root: Path, num_pictures: int = NUM_PICTURES) -> Path:
    """All files of the benchmark."""
    write_rows(root / QUESTIONS, list_questions(num_pictures))
    for category in CATEGORIES:
        write_rows(root / label_file(category), list_labels(category, num_pictures))
    for picture in range(num_pictures):
        write_picture(root / FOLDER / "val2014" / f"COCO_val2014_{picture:012}.jpg", picture)
    return root
