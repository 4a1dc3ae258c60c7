"""The small set: three files about the same questions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from evaluate.benchmark import find
from evaluate.demo.llava_bench import write_llava_bench


def test_it_can_be_read_and_is_as_hard_as_it_says(tmp_path: Path) -> None:
    (benchmark,) = find("llava-bench")
    samples = replace(benchmark, size=None).load(write_llava_bench(tmp_path, 12))
    assert len(samples) == 12
    assert all(sample.target for sample in samples)
