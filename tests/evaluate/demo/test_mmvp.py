"""Demonstration data of MMVP: pairs of pictures, a question in two lines, options without spaces."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from evaluate.benchmark import find
from evaluate.demo.writers import WRITERS


def test_pairs_have_other_answers_and_other_pictures(tmp_path: Path) -> None:
    WRITERS["mmvp"](tmp_path)
    [benchmark] = find("mmvp")
    samples = replace(benchmark, size=None).load(tmp_path)
    for first, second in zip(samples[::2], samples[1::2], strict=True):
        assert first.prompt.turns == second.prompt.turns
        assert first.target != second.target
        assert first.prompt.images[0].read_bytes() != second.prompt.images[0].read_bytes()
