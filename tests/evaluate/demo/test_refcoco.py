"""Demonstration data of RefCOCO: phrases with quotes, braces and signs, boxes inside of their pictures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from evaluate.benchmark import find
from evaluate.demo.refcoco import write_refcoco


def test_boxes_lie_in_pictures_that_phrases_share(tmp_path: Path) -> None:
    write_refcoco(tmp_path)
    [benchmark] = find("refcoco+-testA")
    samples = replace(benchmark, size=None).load(tmp_path)
    assert len(samples) > len({sample.cluster for sample in samples}) > 1
    for left, top, right, bottom in (sample.target.box for sample in samples):
        assert 0 <= left < right <= samples[0].target.width
        assert 0 <= top < bottom <= samples[0].target.height
