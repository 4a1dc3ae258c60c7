"""Demonstration data of MMMU: thirty subjects, several pictures, open questions with several answers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from evaluate.benchmark import find
from evaluate.demo.writers import WRITERS


def test_pictures_stand_in_questions_and_options(tmp_path: Path) -> None:
    WRITERS["mmmu-val-multi-image"](tmp_path)
    [benchmark] = find("mmmu-val-multi-image")
    samples = replace(benchmark, size=None).load(tmp_path)
    assert len({sample.target.subject for sample in samples}) == 30
    assert {len(sample.prompt.images) for sample in samples} == {1, 3, 8}
    assert {len(sample.target.options) for sample in samples} == {0, 3, 9}
    assert {bool(sample.target.options) for sample in samples} == {True, False}
    assert any(len(sample.target.answers) > 1 for sample in samples)
