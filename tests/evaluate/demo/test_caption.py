"""Demonstration data of captions: ids, several references, text that tokenisers stumble over."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from evaluate.benchmark import find
from evaluate.demo.writers import WRITERS


def test_pictures_have_several_references_in_another_order(tmp_path: Path) -> None:
    WRITERS["caption-coco"](tmp_path)
    [benchmark] = find("caption-coco")
    samples = replace(benchmark, size=None).load(tmp_path)
    references = {sample.id: sample.target.references for sample in samples}
    assert {len(texts) for texts in references.values()} == {5}
    told = "".join(text for texts in references.values() for text in texts)
    assert all(sign in told for sign in ("\u2028", "\r", "\n", "🪁", "—"))
    assert max(len(text) for texts in references.values() for text in texts) > 500
