"""Outputs of the original tool through the command against tests/golden/milebench_dataset.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from evaluate.__main__ import main
from tests.evaluate.milebench.written import write_annotation, write_answers


def call(root: Path, source: Path, *words: str) -> int:
    words = ("--root", str(root), "--output", str(root / "results"), "--allow-size", *words)
    return main(["score", str(source), "--benchmark", "milebench", *words])


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.golden("milebench_dataset")
def test_files_agree_with_the_original(
    case: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given, expected = case["input"], case["expected"]
    dataset = given["dataset"]
    write_annotation(tmp_path, dataset, given["annotation"])
    write_answers(tmp_path / "outputs" / "model" / dataset, given["predictions"])
    code = call(tmp_path, tmp_path / "outputs" / "model")
    folder = tmp_path / "results" / "model" / f"milebench-{dataset.lower()}"
    if "error" in expected:
        assert code == 2
        assert "error: " in capsys.readouterr().err
        assert not (folder / "eval.json").exists()
        return
    assert code == 0
    found, wanted = read(folder / "eval.json"), expected["eval.json"]
    assert list(found) == list(wanted)
    for key, value in wanted.items():
        if isinstance(value, dict):
            assert list(found[key]) == list(value)
            for level, numbers in value.items():
                assert found[key][level] == pytest.approx(numbers, rel=0, abs=1e-6)
        else:
            assert found[key] == pytest.approx(value, rel=0, abs=1e-6)
    assert read(folder / "eval_score.json") == expected["eval_score.json"]
    rows = read(folder / "pred_with_extracted.json") if "extracted" in expected else []
    kept = [{key: row[key] for key in ("sample_id", "extracted", "result")} for row in rows]
    assert kept == expected.get("extracted", [])
    assert (folder / "pred_with_extracted.json").exists() == bool(rows)
    assert read(folder / "pred.json") == given["predictions"]
