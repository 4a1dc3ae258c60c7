"""A small LLaVA-Bench in the official layout: three files whose lines are in different orders, and pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from evaluate.demo.files import write_rows
from evaluate.demo.pictures import write_picture

FOLDER = Path("data/llava-bench-in-the-wild")
CATEGORIES = ("conv", "detail", "complex")


def list_questions(count: int = 6) -> list[dict[str, Any]]:
    """Two questions about each picture."""
    return [
        {
            "question_id": number,
            "image": f"{number // 2 + 1:03d}.jpg",
            "text": f"What is in picture {number // 2}?\nSay it like “this” – {number}.",
            "category": CATEGORIES[number % 3],
        }
        for number in range(count)
    ]


def list_references(count: int = 6) -> list[dict[str, Any]]:
    """What GPT-4 said, the last question first."""
    return [
        {
            "question_id": row["question_id"],
            "prompt": row["text"],
            "answer_id": f"ref{row['question_id']}",
            "text": f"A reference about {row['question_id']}.\nIt has two lines.",
            "model_id": "gpt-4-0314",
            "metadata": {},
        }
        for row in reversed(list_questions(count))
    ]


def write_llava_bench(root: Path, count: int = 6) -> Path:
    """All files."""
    questions = list_questions(count)
    images = sorted({row["image"] for row in questions})
    captions = [{"id": image[:3], "image": image, "caption": f"A view of {image}, été."} for image in images]
    for number, image in enumerate(images):
        write_picture(root / FOLDER / "images" / image, number)
    write_rows(root / FOLDER / "questions.jsonl", questions)
    write_rows(root / FOLDER / "context.jsonl", captions[::-1])
    write_rows(root / FOLDER / "answers_gpt4.jsonl", list_references(count))
    return root
