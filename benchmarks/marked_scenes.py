"""Pictures of coloured shapes without numbers, in the layout of the Inst-It Dataset: masks and captions with them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from random import Random
from typing import Any

from PIL import Image, ImageDraw

from internvl.shapes_questions import CELLS, Scene, Shape, draw_scene

SIDE = 56
_PAINTS = {"red": (214, 48, 44), "green": (46, 160, 67), "blue": (52, 96, 214), "yellow": (238, 196, 38)}
_REACH = 12.5


def write_scenes(folder: Path, count: int, *, held_out: bool, seed: int = 0) -> Path:
    """Raw pictures under `images_raw/`, and the annotation file with masks; the number of a shape says nothing of it.

    Args:
        folder: gets everything.
        count: pictures.
        held_out: scenes that the other side never has.
        seed: of all that is drawn.
    """
    (folder / "images_raw").mkdir(parents=True, exist_ok=True)
    records = []
    for number in range(count):
        random = Random(f"{seed}/{held_out}/{number}")
        scene = draw_scene(random, held_out=held_out)
        name = f"{number:05d}.png"
        picture, masks = paint(random, scene)
        picture.save(folder / "images_raw" / name)
        records.append(describe(number, f"images_vpt/{name}", scene, masks))
    path = folder / "annotations_w_mask.json"
    path.write_text(json.dumps(records), encoding="utf-8")
    return path


def paint(random: Random, scene: Scene) -> tuple[Image.Image, list[Image.Image]]:
    """The picture, and where each shape is."""
    shade = random.randint(-12, 12)
    image = Image.new("RGB", (SIDE, SIDE), (238 + shade,) * 3)
    masks = []
    for shape in scene.shapes:
        mask = Image.new("1", (SIDE, SIDE))
        _place(random, shape, ImageDraw.Draw(mask))
        image.paste(_PAINTS[shape.color], mask=mask)
        masks.append(mask)
    return image, masks


def describe(number: int, path: str, scene: Scene, masks: Sequence[Image.Image]) -> dict[str, Any]:
    """The record of a picture."""
    shapes = sorted(zip(scene.shapes, masks, strict=True), key=lambda pair: pair[0].mark)
    return {
        "image_id": number,
        "image_path": path,
        "instance_level_caption": {str(shape.mark): shape.name for shape, _ in shapes},
        "image_level_caption": " ".join(f"[{shape.mark}] is at the {shape.cell}." for shape, _ in shapes),
        "segmentations": {str(shape.mark): {"mask": encode(mask)} for shape, mask in shapes},
    }


def encode(mask: Image.Image) -> dict[str, Any]:
    """Run lengths column by column, beginning with zeros."""
    columns = list(mask.transpose(Image.Transpose.TRANSPOSE).get_flattened_data())
    runs = [(bool(value), len(list(group))) for value, group in groupby(columns)]
    counts = ([0] if runs[0][0] else []) + [length for _, length in runs]
    return {"size": [mask.height, mask.width], "counts": counts}


def _place(random: Random, shape: Shape, canvas: ImageDraw.ImageDraw) -> None:
    row, column = divmod(CELLS.index(shape.cell), 2)
    half = SIDE / 4
    x, y = (half * (2 * place + 1) + random.randint(-1, 1) for place in (column, row))
    reach = _REACH - random.random()
    if shape.kind == "circle":
        canvas.ellipse((x - reach, y - reach, x + reach, y + reach), fill=1)
    elif shape.kind == "square":
        canvas.rectangle((x - 0.9 * reach, y - 0.9 * reach, x + 0.9 * reach, y + 0.9 * reach), fill=1)
    else:
        canvas.polygon(((x, y - reach), (x + reach, y + reach), (x - reach, y + reach)), fill=1)
