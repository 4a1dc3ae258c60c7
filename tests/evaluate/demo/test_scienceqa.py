"""Demonstration data of ScienceQA: hints of several lines, two to five choices."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from evaluate.benchmark import find
from evaluate.demo.writers import WRITERS


def test_questions_have_two_to_five_choices(tmp_path: Path) -> None:
    WRITERS["scienceqa"](tmp_path)
    [benchmark] = find("scienceqa")
    samples = replace(benchmark, size=None).load(tmp_path)
    options = {sum(f"\n{name}. " in sample.prompt.turns[0].text for name in "ABCDE") for sample in samples}
    assert options == {2, 3, 4, 5}
    assert any("\nIt has two columns.\n" in sample.prompt.turns[0].text for sample in samples)
