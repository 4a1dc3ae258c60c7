"""Demonstration data of Tiny LVLM-eHub: five abilities, one right answer or several."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from evaluate.benchmark import find
from evaluate.demo.writers import WRITERS
from evaluate.scorers.word_match import ABILITIES


def test_all_abilities_are_asked(tmp_path: Path) -> None:
    WRITERS["tiny_lvlm"](tmp_path)
    [benchmark] = find("tiny_lvlm")
    samples = replace(benchmark, size=None).load(tmp_path)
    assert [sample.target.ability for sample in samples[:: len(samples) // 5]] == list(ABILITIES)
    assert {len(sample.target.answers) for sample in samples} >= {1, 2}
