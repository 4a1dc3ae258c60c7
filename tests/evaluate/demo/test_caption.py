"""Demonstration data of captions: ids, several references, text that tokenisers stumble over."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from evaluate.benchmark import find
from evaluate.demo.caption import list_coco


def test_pictures_have_several_references_in_another_order(tmp_path: Path) -> None:
    list_coco(tmp_path)
    [benchmark] = find("caption-coco")
    samples = replace(benchmark, size=None).load(tmp_path)
    references = {sample.id: sample.target.references for sample in samples}
    assert all(len(texts) > 1 for texts in references.values())
    assert any("…" in text for text in references["123456"])
