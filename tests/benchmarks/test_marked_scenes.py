"""The scenes that marks are drawn on: masks say where shapes are, and numbers say nothing of how they look."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import numpy as np
from PIL import Image

from benchmarks.marked_scenes import encode, paint, write_scenes
from internvl.marks.rle import decode
from internvl.shapes_questions import draw_scene


def test_masks_are_where_the_shapes_are() -> None:
    random = Random(3)
    image, masks = paint(random, draw_scene(random, held_out=False))
    ground = np.asarray(image)[0, -1]
    is_shape = (np.asarray(image) != ground).any(axis=2)
    assert np.array_equal(is_shape, np.any([np.asarray(mask) for mask in masks], axis=0))


def test_masks_are_read_as_they_were_written() -> None:
    mask = Image.new("1", (5, 3))
    mask.putpixel((0, 0), 1)
    mask.putpixel((4, 1), 1)
    assert encode(mask)["size"] == [3, 5]
    assert np.array_equal(decode(encode(mask)), np.asarray(mask))


def test_records_name_every_shape_once_and_have_its_mask(tmp_path: Path) -> None:
    records = json.loads(write_scenes(tmp_path, 3, held_out=True).read_text(encoding="utf-8"))
    assert [record["image_path"] for record in records] == [f"images_vpt/{number:05d}.png" for number in range(3)]
    for record in records:
        assert record["segmentations"].keys() == record["instance_level_caption"].keys()
        assert (tmp_path / record["image_path"].replace("vpt", "raw")).is_file()
