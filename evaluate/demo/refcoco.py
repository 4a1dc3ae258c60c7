"""A small set in the layout of RefCOCO, with pictures, and answers to it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PIL import Image

from evaluate.demo.files import write_rows

PHRASES = ("man in red", "the dog {with} braces", 'left "cup", please', "the café’s sign 🪧")
ANSWERS = ("[[100, 200, 300, 400]]", "<box>[[150, 250, 350, 450]]</box>", "no box", "[[0.1, 0.2, 0.3, 0.4]]")
"""What a model may say to each of the phrases; the first and the last are right."""


def list_phrases() -> list[dict[str, Any]]:
    """Four phrases about two pictures."""
    return [
        {
            "image": f"data/coco/train2014/COCO_train2014_{number // 2:012}.jpg",
            "sent": phrase,
            "bbox": [64.0, 96, 192.0, 192.0],
            "height": 480,
            "width": 640,
        }
        for number, phrase in enumerate(PHRASES)
    ]


def write_refcoco(root: Path, split: str = "refcoco+_testA", rows: list[dict[str, Any]] | None = None) -> Path:
    """One split, and its pictures."""
    rows = list_phrases() if rows is None else rows
    write_rows(root / f"data/refcoco/{split}.jsonl", rows)
    for name in {row["image"] for row in rows if isinstance(row.get("image"), str)}:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (64, 48), "red").save(root / name)
    return root
