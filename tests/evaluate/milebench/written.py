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
