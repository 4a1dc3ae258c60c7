"""A small Inst-It Bench, choices as the tables of its hub and the others as its lists: marks, frames, odd words."""

from __future__ import annotations

import json
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow  # type: ignore[import-untyped]
from PIL import Image, ImageDraw
from pyarrow import parquet

FOLDER = Path("data/inst-it-bench")
Row = dict[str, Any]
_OPTIONS = (
    ("Red", "A. trap", "[2] [3]", ""),
    ("é {braces} %s", "红色的", "from <1> to <2>", 'the "other" one\nof two'),
    ("None of them", "Both, \\[1\\]", "D", "🙂"),
)
_FRAMES = (
    tuple(f"{number}.jpg" for number in range(1, 21)),
    ("00000.jpg",),
    tuple(f"frame_{number}.png" for number in range(8, 12)),
    ("som_frame_0001.jpg", "som_frame_0002.jpg"),
)
"""Names of the frames of each video: no zeros in front, a single one, other endings, and numbers that begin at 8."""
_LENGTH = 12


@cache
def draw_marks(number: int, kind: str = "JPEG") -> bytes:
    """A picture with numbered objects: a contour around each, and its number in white on black."""
    picture = Image.new("RGB", (96, 48 + number % 5), (number * 53 % 256, number * 97 % 256, 120))
    pen = ImageDraw.Draw(picture)
    for place in range(1, 2 + number % 3):
        left = 30 * (place - 1)
        pen.rectangle((left, 4, left + 26, 44), outline=("red", "lime", "yellow")[place - 1])
        pen.rectangle((left + 8, 18, left + 20, 30), fill="black")
        pen.text((left + 11, 18), str(place), fill="white")
    stream = BytesIO()
    picture.save(stream, kind)
    return stream.getvalue()


def list_questions(about: str, count: int = _LENGTH) -> list[Row]:
    """Rows as the tables have them, without pictures; three questions for each picture or video."""
    rows = []
    for number in range(count):
        item, place = divmod(number, 3)
        options = dict(zip("abcd", _OPTIONS[number % 3], strict=True))
        moment = f" at <{1 + place % len(_FRAMES[item % len(_FRAMES)])}>" if about == "video" else ""
        rows.append(
            {
                "question_id": f"{item + 1:03}-{place + 1:02}",
                "question": f"What does [{place + 1}] do{moment}, “{number}”? " + "Look. " * (20 * (place == 2)),
                **{f"choice_{letter}": text for letter, text in options.items()},
                "answer": "BDACAC"[number % 6],
                "reference": f"[{place + 1}] says “hé” to [2] [3]{moment}.",
                "item": item,
            }
        )
    return rows


def write_image_choices(root: Path) -> Path:
    """A table in two files."""
    rows = [_take_table(row, image=row["item"]) for row in list_questions("image")]
    for number, part in enumerate((rows[:4], rows[4:])):
        _write_table(root / FOLDER / f"image_multi_choice/test-{number:05}-of-00002.parquet", part)
    return root


def write_image_questions(root: Path) -> Path:
    """A list beside a folder of pictures."""
    rows = []
    for row in list_questions("image"):
        path = f"images_vpt/{row['item'] + 1:03}.jpg"
        rows.append(_take_list(row, image_id=row["item"] + 1, image_path=path))
        _write(root / FOLDER / path, draw_marks(row["item"]))
    return _write_list(root, "image_open_ended.json", rows)


def write_video_choices(root: Path) -> Path:
    """A table beside folders of frames."""
    rows = [_take_table(row, video_path=_write_video(root, row["item"])) for row in list_questions("video")]
    _write_table(root / FOLDER / "video_multi_choice/test-00000-of-00001.parquet", rows)
    return root


def write_video_questions(root: Path) -> Path:
    """A list beside folders of frames."""
    rows = []
    for row in list_questions("video"):
        path = _write_video(root, row["item"])
        rows.append(_take_list(row, video_id=row["item"] + 1, video_path=path))
    return _write_list(root, "video_open_ended.json", rows)


def _write_video(root: Path, item: int) -> str:
    """The frames of a video, and its path as the hub has it."""
    path = f"videos_vpt/{item + 1}"
    for number, name in enumerate(_FRAMES[item % len(_FRAMES)]):
        _write(root / FOLDER / path / name, draw_marks(10 * item + number, "PNG" if name.endswith("png") else "JPEG"))
    return path


def _write_table(path: Path, rows: list[Row]) -> None:
    """Rows as the hub stores them."""
    picture = pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])
    schema = pyarrow.schema([(name, picture if name == "image" else pyarrow.string()) for name in rows[0]])
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pyarrow.Table.from_pylist(rows, schema), path)


def _take_table(row: Row, image: int | None = None, **other: str) -> Row:
    """A row of a table of choices."""
    picture = {} if image is None else {"image": {"bytes": draw_marks(image), "path": f"{image}.jpg"}}
    return {**picture, **{key: value for key, value in row.items() if key not in ("reference", "item")}, **other}


def _take_list(row: Row, **other: Any) -> Row:
    """A row of a list of open questions."""
    kept = {"question_id": row["question_id"], **other, "question": row["question"], "answer": row["reference"]}
    return {**kept, "meta_info": {"dataset": "demo", "split": "val"}}


def _write_list(root: Path, name: str, rows: list[Row]) -> Path:
    _write(root / FOLDER / name, json.dumps(rows, ensure_ascii=False, indent=1).encode())
    return root


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
