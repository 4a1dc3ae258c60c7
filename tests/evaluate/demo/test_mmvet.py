"""The small set: answers joined by AND and OR, several capabilities."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from evaluate.benchmark import find
from evaluate.demo.mmvet import list_questions, write_mmvet


def test_it_can_be_read_and_is_as_hard_as_it_says(tmp_path: Path) -> None:
    (benchmark,) = find("mmvet")
    samples = replace(benchmark, size=None).load(write_mmvet(tmp_path, 12))
    assert len({sample.id for sample in samples}) == 12
    answers = " ".join(row["answer"] for row in list_questions(12).values())
    assert "<AND>" in answers
    assert "<OR>" in answers
