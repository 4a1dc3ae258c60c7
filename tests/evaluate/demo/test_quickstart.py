"""Demonstration data of the quickstart: the questions that it holds out of training."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from evaluate.benchmark import find
from evaluate.demo.quickstart import write_quickstart


def test_all_kinds_of_questions_are_asked(tmp_path: Path) -> None:
    write_quickstart(tmp_path)
    [benchmark] = find("quickstart")
    samples = replace(benchmark, size=None).load(tmp_path)
    assert len(samples) == 8 * len({sample.prompt.images for sample in samples})
    assert len({sample.info["kind"] for sample in samples}) > 3
