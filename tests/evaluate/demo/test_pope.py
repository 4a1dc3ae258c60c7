"""Demonstration data of POPE: three categories that count their questions from one again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from evaluate.benchmark import find
from evaluate.demo.pope import CATEGORIES, write_pope


def test_categories_have_the_same_numbers_of_yes_and_no(tmp_path: Path) -> None:
    write_pope(tmp_path)
    [benchmark] = find("pope")
    samples = replace(benchmark, size=None).load(tmp_path)
    asked = [(sample.target.category, sample.target.positive) for sample in samples]
    assert len({asked.count((category, positive)) for category in CATEGORIES for positive in (True, False)}) == 1
    assert len({sample.info["question_id"] for sample in samples}) * len(CATEGORIES) == len(samples)
