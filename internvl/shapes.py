"""A small picture-question set of coloured shapes with numeric marks, made from a seed.

The scenes of `held_out.jsonl` (which shapes of which colours are in which places) do not occur in training: none can be
remembered, a right answer is read from the picture.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from random import Random

from PIL import Image, ImageDraw, ImageFont

from internvl.shapes_questions import (
    CELLS,
    Question,
    Scene,
    Shape,
    describe,
    draw_questions,
    draw_scene,
    is_held_out,
    score_best_blind,
    score_same_answer,
)

__all__ = ["IMAGE_SIZE", "Scene", "Shape", "ShapesReport", "draw_scene", "is_held_out", "paint", "write_shapes"]

IMAGE_SIZE = 56
TRAIN, HELD_OUT = "train", "held_out"

# Raise it when the same seed starts to give another set, so that folders of an older version are made again.
_VERSION = 1
_MANIFEST = "shapes.json"
_PAINTS = {"red": (214, 48, 44), "green": (46, 160, 67), "blue": (52, 96, 214), "yellow": (238, 196, 38)}
# At the largest radius and jitter a shape still ends inside its cell.
_RADIUS = (0.20, 0.23)
_JITTER = 1
_MARK_SIZE = 0.36


@dataclass(frozen=True, slots=True)
class ShapesReport:
    """What a set holds, and how far a guesser who never looks at the pictures gets on its held out questions.

    `best_blind` gives every question text the answer that is most frequent for it among the held out questions, which
    no guesser without the pictures can beat; `same_answer` gives one answer to all.
    """

    train_counts: Mapping[str, int]
    held_out_counts: Mapping[str, int]
    best_blind: float
    same_answer: float


def paint(random: Random, scene: Scene) -> Image.Image:
    """Paint the scene; size, place, shade and background vary a little from picture to picture."""
    image = Image.new("RGB", (IMAGE_SIZE, IMAGE_SIZE), _vary(random, (238, 238, 238), 12))
    canvas = ImageDraw.Draw(image)
    cell_size = IMAGE_SIZE // 2
    for shape in scene.shapes:
        row, column = divmod(CELLS.index(shape.cell), 2)
        center = (column * cell_size + (cell_size - 1) / 2, row * cell_size + (cell_size - 1) / 2)
        x, y = (place + random.randint(-_JITTER, _JITTER) for place in center)
        # Pillow paints both end points, which makes everything one pixel wider than the difference of the two.
        reach = random.uniform(*_RADIUS) * IMAGE_SIZE - 0.5
        fill = _vary(random, _PAINTS[shape.color], 12)
        if shape.kind == "circle":
            canvas.ellipse((x - reach, y - reach, x + reach, y + reach), fill=fill)
        elif shape.kind == "square":
            half = 0.9 * reach
            canvas.rectangle((x - half, y - half, x + half, y + half), fill=fill)
        else:
            canvas.polygon(((x, y - reach), (x + reach, y + reach), (x - reach, y + reach)), fill=fill)
        # In the middle of the cell, whatever the shape does: a small model reads numbers where it can expect them.
        _paint_mark(canvas, *center, shape.mark)
    return image


def _vary(random: Random, color: tuple[int, int, int], amount: int) -> tuple[int, int, int]:
    red, green, blue = (min(255, max(0, value + random.randint(-amount, amount))) for value in color)
    return red, green, blue


def _paint_mark(canvas: ImageDraw.ImageDraw, x: float, y: float, mark: int) -> None:
    # The anchor of a text is the middle of its line, which is not the middle of a digit: centre the ink itself.
    left, top, right, bottom = _load_font().getbbox(str(mark), anchor="lt")
    place = (round(x - (left + right - 1) / 2), round(y - (top + bottom - 1) / 2))
    # Twice: a white rim, and inside it a bold digit. Thin digits are not learned by a model this small.
    for fill, width in (("white", 2), ("black", 1)):
        canvas.text(place, str(mark), fill=fill, font=_load_font(), anchor="lt", stroke_width=width, stroke_fill=fill)


@cache
def _load_font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size=round(_MARK_SIZE * IMAGE_SIZE))


def write_shapes(
    folder: Path,
    *,
    num_train: int = 8000,
    num_held_out: int = 400,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> ShapesReport:
    """Write the pictures, `train.jsonl`, `held_out.jsonl` and `meta.json`, or keep them where the folder has this set.

    Args:
        folder: Where the set goes; `meta.json` names it as it is given here, relative or absolute.
        num_train: Number of training pictures.
        num_held_out: Number of pictures of held out scenes.
        seed: The same seed gives the same first pictures, however many are made.
        progress: Called after every picture with the number made and the number to make.

    Raises:
        ValueError: One of the two numbers of pictures is below 1.
    """
    for name, number in (("num_train", num_train), ("num_held_out", num_held_out)):
        if number < 1:
            raise ValueError(f"{name}: expected at least 1 picture, got {number}; give a positive number")
    asked = {"version": _VERSION, "seed": seed, "num_train": num_train, "num_held_out": num_held_out}
    report = _read_report(folder, asked)
    if report is None:
        report = _make_set(folder, num_train, num_held_out, seed, progress or (lambda done, total: None))
        # Last, so that its presence says that everything else was written.
        manifest = {"asked": asked, "digests": _digest_rows(folder), "report": asdict(report)}
        _write_json(folder / _MANIFEST, manifest)
    meta = {
        "root": folder.as_posix(),
        "annotation": (folder / f"{TRAIN}.jsonl").as_posix(),
        "data_augment": False,
        "repeat_time": 1,
        "length": num_train,
    }
    _write_json(folder / "meta.json", {"quickstart": meta})
    return report


def _read_report(folder: Path, asked: Mapping[str, int]) -> ShapesReport | None:
    """Read the report of the set in the folder, if it is the one asked for and nothing of it is missing."""
    try:
        manifest = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
        report = ShapesReport(**manifest["report"])
        is_same = manifest["asked"] == asked and manifest["digests"] == _digest_rows(folder)
    except (FileNotFoundError, KeyError, TypeError, ValueError):
        return None
    is_whole = all(
        {path.name for path in (folder / "images" / split).glob("*.png")} >= set(_name_pictures(asked[f"num_{split}"]))
        for split in (TRAIN, HELD_OUT)
    )
    return report if is_same and is_whole else None


def _make_set(
    folder: Path, num_train: int, num_held_out: int, seed: int, progress: Callable[[int, int], None]
) -> ShapesReport:
    (folder / _MANIFEST).unlink(missing_ok=True)
    total = num_train + num_held_out
    train = _make_pictures(folder, TRAIN, num_train, seed, lambda done: progress(done, total))
    held_out = _make_pictures(folder, HELD_OUT, num_held_out, seed, lambda done: progress(num_train + done, total))
    train_rows = [_build_train_row(name, questions) for name, questions in train.items()]
    test_rows = [row for name, questions in held_out.items() for row in _build_test_rows(name, questions)]
    _write_rows(folder / f"{TRAIN}.jsonl", train_rows)
    _write_rows(folder / f"{HELD_OUT}.jsonl", test_rows)
    test_questions = [question for questions in held_out.values() for question in questions]
    return ShapesReport(
        train_counts=dict(Counter(question.kind for questions in train.values() for question in questions)),
        held_out_counts=dict(Counter(question.kind for question in test_questions)),
        best_blind=score_best_blind(test_questions),
        same_answer=score_same_answer(test_questions),
    )


def _make_pictures(
    folder: Path, split: str, num_pictures: int, seed: int, progress: Callable[[int], None]
) -> dict[str, list[Question]]:
    """Write the pictures of one split and return the questions about each, by file name."""
    pictures = folder / "images" / split
    pictures.mkdir(parents=True, exist_ok=True)
    names = _name_pictures(num_pictures)
    # What a larger set left behind; other files in the folder are not ours to remove.
    for name in {path.name for path in pictures.glob("*.png")}.difference(names):
        if re.fullmatch(r"\d{5,}\.png", name):
            (pictures / name).unlink()
    questions = {}
    for index, name in enumerate(names):
        # A generator for each picture: it stays the same however many others are made.
        random = Random(f"{seed}/{split}/{index}")
        scene = draw_scene(random, held_out=split == HELD_OUT)
        questions[name] = draw_questions(random, scene)
        if split == TRAIN:
            questions[name].append(describe(scene))
            random.shuffle(questions[name])
        paint(random, scene).save(pictures / name)
        progress(index + 1)
    return questions


def _name_pictures(num_pictures: int) -> list[str]:
    return [f"{index:05d}.png" for index in range(num_pictures)]


def _build_train_row(name: str, questions: Sequence[Question]) -> dict[str, object]:
    turns: list[dict[str, str]] = []
    for question in questions:
        turns.append({"from": "human", "value": question.text if turns else f"<image>\n{question.text}"})
        turns.append({"from": "gpt", "value": question.answer})
    # Isolated: each pair is learned on its own. A later question could be answered from the text of an earlier pair.
    return {"id": Path(name).stem, "image": f"images/{TRAIN}/{name}", "isolated": True, "conversations": turns}


def _build_test_rows(name: str, questions: Sequence[Question]) -> list[dict[str, object]]:
    return [
        {
            "id": f"{Path(name).stem}-{number}",
            "image": f"images/{HELD_OUT}/{name}",
            "question": question.text,
            "answer": question.answer,
            "kind": question.kind,
        }
        for number, question in enumerate(questions)
    ]


def _write_rows(path: Path, rows: Iterable[Mapping[str, object]]) -> None:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")


def _write_json(path: Path, value: object) -> None:
    path.write_text(f"{json.dumps(value, indent=2)}\n", encoding="utf-8")


def _digest_rows(folder: Path) -> dict[str, str]:
    return {split: hashlib.sha256((folder / f"{split}.jsonl").read_bytes()).hexdigest() for split in (TRAIN, HELD_OUT)}
