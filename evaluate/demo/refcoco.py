"""A small set in the layout of RefCOCO, with pictures, and answers to it."""

from __future__ import annotations

import math
from io import BytesIO
from pathlib import Path
from random import Random
from typing import Any

from PIL import Image

from evaluate.demo.files import write_rows

PHRASES = ("man in red", "the dog {with} braces", 'left "cup", please', "the café’s sign 🪧")
_MORE = (
    *PHRASES,
    "2nd from the right, not the tall one",
    "woman's hand <left> & cup",
    f"the one {'behind the one ' * 12}with a hat",
    "左边的人",
)
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


def invent_phrases(count: int) -> list[dict[str, Any]]:
    """Phrases about pictures of several sizes, and boxes that are tiny, whole, or have fractions."""
    rows = []
    for number in range(count):
        random = Random(f"box {number}")
        width, height = ((640, 480), (333, 500), (120, 90))[number // 2 % 3]
        left, top = random.uniform(0, width / 2), random.uniform(0, height / 2)
        right, bottom = left + random.uniform(1, width / 2), top + random.uniform(1, height / 2)
        box = [0, 0, width, height] if number % 7 == 6 else [round(side, 2) for side in (left, top, right, bottom)]
        rows.append(
            {
                "image": f"data/coco/train2014/COCO_train2014_{100 + number // 2:012}.jpg",
                "sent": _MORE[number % len(_MORE)],
                "bbox": box,
                "height": height,
                "width": width,
            }
        )
    return rows


def draw_scene(row: dict[str, Any]) -> bytes:
    """A picture of the size that the row tells, with something in the box."""
    random, stream = Random(str(row.get("image"))), BytesIO()
    ground, thing = ((random.randrange(256), random.randrange(256), random.randrange(256)) for _ in range(2))
    picture = Image.new("RGB", (row.get("width", 64), row.get("height", 48)), ground)
    box = row.get("bbox", ())
    if len(box) == 4:
        picture.paste(thing, (math.floor(box[0]), math.floor(box[1]), math.ceil(box[2]), math.ceil(box[3])))
    picture.save(stream, "JPEG")
    return stream.getvalue()


def write_refcoco(root: Path, split: str = "refcoco+_testA", rows: list[dict[str, Any]] | None = None) -> Path:
    """One split, and its pictures."""
    rows = list_phrases() if rows is None else rows
    write_rows(root / f"data/refcoco/{split}.jsonl", rows)
    for row in rows:
        path = root / str(row.get("image"))
        if not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(draw_scene(row))
    return root
