"""Files of MileBench's own tool, written by hand for tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def describe(value: float, metric: str = "Accuracy", **sums: list[float]) -> dict[str, Any]:
    """The content of an `eval.json`."""
    pairs = {"Few": [0, 0], "Medium": [0, 0], "Many": [0, 0]} | sums
    means = {level: total / count if count else 0 for level, (total, count) in pairs.items()}
    return {metric: value, "image_quantity_level-Accuracy": means, "image_quantity_level-Result": pairs}


def write_evaluation(folder: Path, content: object) -> Path:
    """An `eval.json`; a text is written as it is."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "eval.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def write_annotation(root: Path, dataset: str, content: object) -> Path:
    """The annotations of a dataset where a benchmark looks for them; there are no pictures."""
    folder = root / "data/MileBench" / dataset
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{dataset}.json"
    path.write_text(json.dumps(content))
    return path


def write_answers(folder: Path, rows: object) -> Path:
    """A `pred.json`; a text is written as it is."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "pred.json"
    path.write_text(rows if isinstance(rows, str) else json.dumps(rows))
    return path
