"""Demonstration data of SEED-Bench: twelve types about pictures and frames, which have no suffix."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from evaluate.benchmark import find
from evaluate.demo.writers import WRITERS


def test_all_types_are_asked(tmp_path: Path) -> None:
    WRITERS["seed"](tmp_path)
    [benchmark] = find("seed")
    samples = replace(benchmark, size=None).load(tmp_path)
    assert {sample.target.question_type for sample in samples} == set(range(1, 13))
    assert {sample.prompt.images[0].parent.name for sample in samples} == {
        "SEED-Bench-image",
        "SEED-Bench-video-image-1",
    }
