"""Demonstration data of MME: fourteen categories, and a yes and a no about every picture."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from evaluate.benchmark import find
from evaluate.demo.mme import CATEGORIES, write_tables


def test_every_picture_has_a_yes_and_a_no(tmp_path: Path) -> None:
    write_tables(tmp_path)
    [benchmark] = find("mme")
    samples = replace(benchmark, size=None).load(tmp_path)
    asked = [(sample.target.category, sample.target.picture, sample.target.positive) for sample in samples]
    assert list(dict.fromkeys(category for category, _, _ in asked)) == list(CATEGORIES)
    assert [(*pair, False) for *pair, positive in asked if positive] == [row for row in asked if not row[2]]
    assert {sample.prompt.images[0].suffix for sample in samples} == {".jpg", ".png"}
