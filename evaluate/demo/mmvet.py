"""A small MM-Vet in the official layout: one object of questions with capabilities, and pictures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from evaluate.demo.pictures import write_picture

FOLDER = Path("data/mm-vet")
CAPABILITIES = (["ocr", "math"], ["rec"], ["rec", "know", "gen"], ["ocr", "spat", "math"])
ANSWERS = ("-1<AND>-5", "Ann<OR>Bob", "A poem about été.", "14")


def list_questions(count: int = 8) -> dict[str, dict[str, Any]]:
    """Every combination of capabilities in turn; two questions share a picture."""
    return {
        f"v1_{number}": {
            "imagename": f"v1_{number // 2 * 2}.png",
            "imagesource": "https://example.org/",
            "question": f"What is shown in {number}?\nName | all of it.",
            "answer": ANSWERS[number % 4],
            "capability": CAPABILITIES[number % 4],
        }
        for number in range(count)
    }


def list_converted(count: int = 8) -> list[dict[str, Any]]:
    """The lines of the converted file."""
    return [
        {
            "question_id": int(name.removeprefix("v1_")),
            "image": row["imagename"],
            "text": row["question"],
            "category": "default",
        }
        for name, row in list_questions(count).items()
    ]


def write_mmvet(root: Path, count: int = 8) -> Path:
    """All files of the authors; the converted one is not needed."""
    questions = list_questions(count)
    for number, row in enumerate(questions.values()):
        write_picture(root / FOLDER / "images" / row["imagename"], number // 2)
    (root / FOLDER / "mm-vet.json").write_text(json.dumps(questions, ensure_ascii=False), encoding="utf-8")
    return root
