"""Demonstration data of MMBench: rotations, hints, and options that readers of tables take for nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from evaluate.benchmark import find
from evaluate.demo.mmbench import write_mmbench


def test_rotations_are_complete_and_none_is_an_option(tmp_path: Path) -> None:
    write_mmbench(tmp_path)
    [benchmark] = find("mmbench-dev-en")
    samples = replace(benchmark, size=None).load(tmp_path)
    turns: dict[int, list[dict[str, str]]] = {}
    for sample in samples:
        turns.setdefault(int(sample.id) % 1_000_000, []).append(sample.target.options)
    assert all(len(options) == len(options[0]) for options in turns.values())
    assert {"None", "NA"} <= {text for options in turns.values() for text in options[0].values()}
