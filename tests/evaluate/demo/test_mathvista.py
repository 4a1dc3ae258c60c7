"""The small MathVista: every kind of answer, and the annotations that its rule reads."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from evaluate.benchmark import find
from evaluate.demo.mathvista import FOLDER, write_mathvista


def test_every_kind_of_answer_is_there(tmp_path: Path) -> None:
    (benchmark,) = find("mathvista-testmini")
    samples = replace(benchmark, size=None).load(write_mathvista(tmp_path))
    gold = json.loads((tmp_path / FOLDER / "annot_testmini.json").read_text(encoding="utf-8"))
    assert {row["pid"] for row in gold.values()} == {sample.id for sample in samples}
    assert {row["answer_type"] for row in gold.values()} >= {"text", "integer", "float", "list"}
