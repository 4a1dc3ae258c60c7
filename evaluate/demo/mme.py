"""A small MME: a table of questions per category, and the two layouts of folders that the authors publish."""

from __future__ import annotations

from pathlib import Path

from evaluate.demo.pictures import write_picture

FOLDER = Path("data/mme")
RELEASE = FOLDER / "MME_Benchmark_release_version"
PERCEPTION = (
    *("existence", "count", "position", "color", "posters", "celebrity", "scene", "landmark", "artwork", "OCR"),
)
CATEGORIES = (*PERCEPTION, "commonsense_reasoning", "numerical_calculation", "text_translation", "code_reasoning")
IN_FOLDERS = ("artwork", "celebrity", "landmark", "posters", "scene")
"""Whose pictures and questions lie in folders of their own."""


def ask(category: str, number: int) -> tuple[tuple[str, str], tuple[str, str]]:
    """Both questions about a picture; the second has a comma and a word in Chinese."""
    start = f"Is {category} {number} in this image"
    return (f"{start}? Please answer yes or no.", "Yes"), (f"{start}, or 上海? Please answer yes or no.", "No")


def name_picture(category: str, number: int) -> str:
    """Some categories have no photographs."""
    return f"{number:04}.{'png' if category in ('OCR', 'code_reasoning') else 'jpg'}"


def write_release(root: Path, num_pictures: int = 2) -> Path:
    """As the authors publish it."""
    for category in CATEGORIES:
        folder = root / RELEASE / category
        pictures, texts = (
            (folder / "images", folder / "questions_answers_YN") if category in IN_FOLDERS else (folder,) * 2
        )
        texts.mkdir(parents=True)
        for number in range(num_pictures):
            write_picture(pictures / name_picture(category, number), number)
            lines = "\n".join("\t".join(pair) for pair in ask(category, number))
            (texts / f"{number:04}.txt").write_text(lines, encoding="utf-8")
    return root


def write_tables(root: Path, num_pictures: int = 2) -> Path:
    """A table per category, and pictures in a folder per category."""
    tables = root / FOLDER / "Your_Results"
    tables.mkdir(parents=True)
    for category in CATEGORIES:
        lines = []
        for number in range(num_pictures):
            name = name_picture(category, number)
            write_picture(root / FOLDER / "images" / category / name, number)
            lines += ["\t".join((name, *pair)) + "\n" for pair in ask(category, number)]
        (tables / f"{category}.txt").write_text("".join(lines), encoding="utf-8")
    return root
