"""Demonstration data of MMBench: rotations, hints, and options that readers of tables take for nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from evaluate.benchmark import find
from evaluate.benchmarks.mmbench import read_table
from evaluate.demo.writers import WRITERS


def test_rotations_are_complete_and_none_is_an_option(tmp_path: Path) -> None:
    WRITERS["mmbench-dev-en"](tmp_path)
    [benchmark] = find("mmbench-dev-en")
    samples = replace(benchmark, size=None).load(tmp_path)
    turns: dict[int, list[dict[str, str]]] = {}
    for sample in samples:
        turns.setdefault(int(sample.id) % 1_000_000, []).append(sample.target.options)
    assert all(len(options) == len(options[0]) for options in turns.values())
    assert {"None", "NA", "n/a", "null", "nan", "-"} <= {
        text for options in turns.values() for text in options[0].values()
    }
    assert {len(options) for options in turns.values()} == {2, 3, 4}


def test_rotations_of_a_hidden_table_name_the_row_with_their_picture(tmp_path: Path) -> None:
    WRITERS["mmbench-test-cn"](tmp_path)
    [path] = (tmp_path / "data/mmbench").iterdir()
    cells = {row["index"]: row["image"] for _, row in read_table(path, ("index", "image"))}
    assert cells["1000010"] == "10"
    [benchmark] = find("mmbench-test-cn")
    shown = {sample.id: sample.prompt.images for sample in benchmark.samples(tmp_path)}
    assert shown["1000010"] == shown["10"]
