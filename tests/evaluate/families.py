"""Benchmarks for tests over all of them; of a family with dozens that read and score alike, one of each kind."""

from __future__ import annotations

from evaluate.benchmark import Benchmark, list_benchmarks

_KINDS = frozenset(
    {
        *("milebench-actionlocalization", "milebench-clevr-change", "milebench-mmcoqa"),
        *("milebench-mmcoqa-combined", "milebench-actionsequence-internvl", "milebench-tqa-adv"),
    }
)
"""Of MileBench: one of each rule, and of each ablation; 107 others differ in nothing but the names of their files."""


def list_kinds() -> dict[str, Benchmark]:
    """All shipped benchmarks, but for those that differ in names alone."""
    known = list_benchmarks()
    return {name: known[name] for name in known if not name.startswith("milebench-") or name in _KINDS}
