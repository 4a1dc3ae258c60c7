"""Demonstration data of CMMMU: three kinds of questions, pictures inside of options, several letters."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from evaluate.benchmark import find
from evaluate.demo.cmmmu import PARTS
from evaluate.demo.writers import WRITERS


def test_all_kinds_are_asked_in_all_parts(tmp_path: Path) -> None:
    WRITERS["cmmmu-val"](tmp_path)
    [benchmark] = find("cmmmu-val")
    samples = replace(benchmark, size=None).load(tmp_path)
    assert {len(samples) % len(PARTS), len({sample.target.subject for sample in samples}) - len(PARTS)} == {0}
    assert {sample.target.kind for sample in samples} == {"选择", "判断", "填空"}
    assert any(len(sample.target.answer) > 1 and sample.target.kind == "选择" for sample in samples)
    assert {len(sample.prompt.images) for sample in samples} == {1, 2, 5}
    assert "(A) <图片 1>\n(B) <图片 2>" in samples[3].prompt.turns[0].text
