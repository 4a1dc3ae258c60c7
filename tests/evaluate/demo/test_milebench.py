"""The small set: every dataset can be read, and the rows that are hard to read are there."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from evaluate.benchmark import find
from evaluate.demo.milebench import FOLDER, list_questions, write_milebench
from evaluate.demo.writers import WRITERS
from evaluate.milebench.datasets import DATASETS


def test_every_dataset_can_be_read_with_its_ablations(tmp_path: Path) -> None:
    for benchmark in find("milebench,milebench-combined,milebench-adv,milebench-internvl"):
        if benchmark.groups[0] == "milebench":
            WRITERS[benchmark.name](tmp_path)
        samples = replace(benchmark, size=None).load(tmp_path)
        assert len(samples) >= 3
        assert all(picture.is_file() for s in samples for picture in s.prompt.images if isinstance(picture, Path))


def test_it_is_as_hard_as_it_says(tmp_path: Path) -> None:
    rows = {name: list_questions(name) for name in DATASETS}
    assert max(len(row["context"]) for row in rows["WikiVQA"]) > 40_000
    assert max(row["pictures"] for row in rows["ImageNeedleInAHaystack"]) == 64
    assert max(len(row["choices"]) for row in rows["GPR1200"]) == 63
    assert {"image12", "$5"} <= {row["answer"] for name in ("GPR1200", "DocVQA") for row in rows[name]}
    assert {int, float, str} == {type(row["answer"]) for row in rows["ALFRED"]}
    assert all("{table#1}" in row["context"] for row in rows["MultiModalQA"])
    assert {len(row["choices"]) for row in rows["CounterfactualInference"]} == {1, 2, 3, 4}
    write_milebench(tmp_path, "ALFRED")
    content = json.loads((tmp_path / FOLDER / "ALFRED" / "ALFRED.json").read_text(encoding="utf-8"))
    assert isinstance(content["meta_data"]["task_instruction"], dict)
