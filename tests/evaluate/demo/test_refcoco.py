"""Demonstration data of RefCOCO: phrases with quotes, braces and signs, boxes inside of their pictures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from PIL import Image

from evaluate.benchmark import find
from evaluate.demo.refcoco import invent_phrases
from evaluate.demo.writers import WRITERS


def test_boxes_lie_in_pictures_that_phrases_share(tmp_path: Path) -> None:
    WRITERS["refcoco+-testA"](tmp_path)
    [benchmark] = find("refcoco+-testA")
    samples = replace(benchmark, size=None).load(tmp_path)
    assert len(samples) > len({sample.cluster for sample in samples}) > 1
    for sample in samples:
        left, top, right, bottom = sample.target.box
        assert 0 <= left < right <= sample.target.width
        assert 0 <= top < bottom <= sample.target.height
        with Image.open(sample.prompt.images[0]) as picture:
            assert picture.size == (sample.target.width, sample.target.height)
    assert len({sample.prompt.images[0].read_bytes() for sample in samples}) == len(samples) // 2
    assert (0, 0, 640, 480) in {tuple(row["bbox"]) for row in invent_phrases(16)}
