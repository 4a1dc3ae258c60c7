"""A small quickstart set: the pictures and questions that `python -m internvl quickstart` holds out of training."""

from __future__ import annotations

from pathlib import Path
from random import Random

from evaluate.demo.files import write_rows
from internvl.shapes import draw_scene, paint
from internvl.shapes_questions import draw_questions

FOLDER = Path("playground/quickstart")


def write_quickstart(root: Path, num_pictures: int = 8) -> Path:
    """The held-out questions, and their pictures."""
    folder, rows = root / FOLDER / "images" / "held_out", []
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(num_pictures):
        random = Random(f"demonstration {number}")
        scene = draw_scene(random, held_out=True)
        for place, question in enumerate(draw_questions(random, scene)):
            row = {"question": question.text, "answer": question.answer, "kind": question.kind}
            rows.append({"id": f"{number:05}-{place}", "image": f"images/held_out/{number:05}.png", **row})
        paint(random, scene).save(folder / f"{number:05}.png")
    write_rows(root / FOLDER / "held_out.jsonl", rows)
    return root
