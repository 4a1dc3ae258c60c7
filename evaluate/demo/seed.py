"""A small SEED-Bench in the official layout: worded questions, and the authors' file with more than these."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from evaluate.choices import PROMPT, letter, word_question
from evaluate.demo.files import write_rows
from evaluate.demo.pictures import write_picture

FOLDER = Path("data/SEED")
QUESTIONS, ANSWERS = FOLDER / "seed.jsonl", FOLDER / "SEED-Bench.json"
_QUESTIONS = "How many towels are in picture {}?", "What does “the sign” in picture {} say?\nRead all of it."


def list_answers(count: int = 13) -> list[dict[str, Any]]:
    """A question per type in turn; the last one is asked nowhere."""
    return [
        {
            "question_id": str(101669 + number) if number % 2 else 101669 + number,
            "question": f"How many towels are in picture {number}?"
            + (" Quote the “sign”.\nThen answer." if number % 5 == 4 else ""),
            **{f"choice_{name}": f"{place} – {number}" for place, name in enumerate("abcd")},
            "answer": "ABCD"[number % 4],
            "data_type": "image" if number % 12 < 9 else "video",
            "data_id": str(number),
            "question_type_id": number % 12 + 1,
        }
        for number in range(count)
    ]


def write_seed(root: Path, count: int = 13) -> Path:
    """All files; pictures have no suffix, and frames of videos lie in another folder."""
    rows = []
    for number, row in enumerate(list_answers(count)[:-1]):
        folder = "SEED-Bench-image" if row["data_type"] == "image" else "SEED-Bench-video-image-1"
        image = f"{folder}/{number // 2}_2591111986"
        write_picture(root / FOLDER / image, number // 2)
        text = word_question(row["question"], letter(row[f"choice_{name}"] for name in "abcd"), PROMPT)
        rows.append({"image": image, "text": text, "question_id": str(row["question_id"]), "answer": row["answer"]})
    write_rows(root / QUESTIONS, rows)
    (root / ANSWERS).write_text(json.dumps({"questions": list_answers(count), "question_type": {}}), encoding="utf-8")
    return root
