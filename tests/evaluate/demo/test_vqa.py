"""Demonstration data of the VQA family: ids and right answers, whatever the layout."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from evaluate.benchmark import find
from evaluate.demo.vqa import QUESTIONS, WRITERS


def test_every_writer_knows_the_answer_to_every_question(tmp_path: Path) -> None:
    for name, write in WRITERS.items():
        answers = write(tmp_path / name)
        [benchmark] = find(name)
        samples = replace(benchmark, size=None).load(tmp_path / name)
        assert [sample.id for sample in samples] == list(answers)
        assert all(text in sample.prompt.turns[0].text for text, sample in zip(QUESTIONS, samples, strict=True))
