"""AI2D: a line per question about the test pictures, with its options inside and the text of the right one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from evaluate.conversion import Conversion, Original, Row
from evaluate.original import Entry, read_content
from internvl.errors import InputError

SEPARATOR = " \n options: "
_ZIP = "https://ai2-public-datasets.s3.amazonaws.com/diagrams/ai2d-all.zip"
_IDS = "https://s3-us-east-2.amazonaws.com/prior-datasets/ai2d_test_ids.csv"


def list_questions(folder: Path, ids: Path) -> Iterator[Row]:
    """Every question, in the order of the pictures' numbers.

    Args:
        folder: a file of questions per picture that has any.
        ids: numbers of the test pictures.
    """
    for picture in sorted(read_ids(ids)):
        path = folder / f"{picture}.png.json"
        if not path.is_file():
            continue  # some pictures have no questions
        for text, entry in _read_questions(path):
            options = entry.texts("answerTexts")
            yield {
                "image": f"data/ai2diagram/ai2d/images/{picture}.png",
                "question": f"{text}{SEPARATOR}{', '.join(options)}",
                "question_id": entry.text("questionId"),
                "answer": entry.pick("answerTexts", entry.number("correctAnswer")),
            }


def read_ids(path: Path) -> set[int]:
    """The numbers of the test pictures, a line each; a first line may name the column."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except ValueError as error:
        raise InputError(f"{path}: expected text in UTF-8, got {error}; get the file again") from None
    found = set()
    for number, line in enumerate(lines, 1):
        name = line.strip().strip('"').removesuffix(".png")
        if name.isdecimal():
            found.add(int(name))
        elif name and number > 1:
            raise InputError(
                f"{path}:{number}: expected the number of a picture, got {line[:40]!r}; get the file again"
            )
    return found


def _read_questions(path: Path) -> Iterator[tuple[str, Entry]]:
    content = read_content(path)
    rows = content.get("questions") if isinstance(content, dict) else None
    if not isinstance(rows, dict) or not all(isinstance(row, dict) for row in rows.values()):
        raise InputError(f"{path}: expected an object with `questions` by text, got another layout; get the file again")
    return ((text, Entry(f"{path}: question {number}", row)) for number, (text, row) in enumerate(rows.items(), 1))


CONVERSIONS = [
    Conversion(
        "data/ai2diagram/test.jsonl",
        (
            Original(
                "data/ai2diagram/ai2d/questions",
                f"(mkdir -p data/ai2diagram && cd data/ai2diagram && wget {_ZIP} && unzip ai2d-all.zip)",
                pattern="*.json",
            ),
            Original(
                "data/ai2diagram/ai2d_test_ids.csv",
                f"wget -P data/ai2diagram {_IDS}",
                ("data/ai2diagram/ai2d/ai2d_test_ids.csv",),
            ),
        ),
        list_questions,
        key=("image", "question"),
        size=3088,
        note="order, ids and the text between question and options of the published file are not known; these are "
        "sorted by picture, have the authors' ids, and a line break and `options:`",
    )
]
