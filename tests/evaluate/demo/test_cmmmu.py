"""Demonstration data of CMMMU: three kinds of questions, pictures inside of options, several letters."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from evaluate.benchmark import find
from evaluate.demo.cmmmu import PARTS, write_cmmmu


def test_all_kinds_are_asked_in_all_parts(tmp_path: Path) -> None:
    write_cmmmu(tmp_path)
    [benchmark] = find("cmmmu-val")
    samples = replace(benchmark, size=None).load(tmp_path)
    assert {len(samples) % len(PARTS), len({sample.target.subject for sample in samples}) - len(PARTS)} == {0}
    assert {sample.target.kind for sample in samples} == {"选择", "判断", "填空"}
    assert any(len(sample.target.answer) > 1 and sample.target.kind == "选择" for sample in samples)
    assert any(len(sample.prompt.images) > 1 for sample in samples)
