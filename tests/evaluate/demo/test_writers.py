"""Demonstration data of all benchmarks: every one has a writer."""

from __future__ import annotations

from evaluate.benchmark import list_benchmarks
from evaluate.demo.writers import WRITERS


def test_every_benchmark_has_a_small_data_set() -> None:
    assert sorted(WRITERS) == sorted(list_benchmarks())
