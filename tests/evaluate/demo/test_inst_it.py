"""The small set: choices in tables, words in lists, and frames whose names are in no order."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from evaluate.benchmark import find
from evaluate.demo.inst_it import draw_marks, list_questions
from evaluate.demo.writers import WRITERS


def test_it_can_be_read_and_is_as_hard_as_it_says(tmp_path: Path) -> None:
    for benchmark in find("inst-it"):
        samples = replace(benchmark, size=None).load(WRITERS[benchmark.name](tmp_path))
        assert len(samples) == 12
        counts = {len(sample.prompt.images) for sample in samples}
        assert counts == ({1, 2, 4, 20} if benchmark.name.startswith("inst-it-video") else {1})
    rows = list_questions("video")
    assert {row["answer"] for row in rows} == set("ABCD")
    assert any("<3>" in row["question"] and "[3]" in row["question"] for row in rows)
    assert len({draw_marks(number) for number in range(20)}) == 20
