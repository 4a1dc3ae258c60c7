"""The small set: items of several sizes, and a manifest of their pictures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from evaluate.benchmark import find
from evaluate.demo.mia_bench import list_items, write_mia_bench


def test_it_can_be_read_and_is_as_hard_as_it_says(tmp_path: Path) -> None:
    (benchmark,) = find("mia-bench")
    samples = replace(benchmark, size=None).load(write_mia_bench(tmp_path, 12))
    assert len(samples) == 12
    assert len({item["num_of_component"] for item in list_items(12)}) > 1
