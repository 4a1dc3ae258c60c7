"""Result folders written by hand: reports, records and pictures as a run leaves them, without running one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from PIL import Image

SETTINGS = {
    "model": "fingerprint",
    "prompts": "0123456789abcdef",
    "generation": '{"max_new_tokens": 8, "num_beams": 1}',
    "scorer": "exact_match",
    "versions": {"torch": "2.15.0", "internvl-lightning": "0.1.0"},
}


def write_run(folder: Path, rows: list[dict[str, Any]] | None = None, **changes: Any) -> Path:
    """A scored run; rows need what differs from a right answer."""
    rows = [{}] if rows is None else rows
    folder.mkdir(parents=True)
    report = {
        "benchmark": folder.name,
        "protocol": "quickstart",
        "model": "tiny",
        "primary": "accuracy",
        "metrics": {"accuracy": 50.0},
        "interval": [40.0, 60.0],
        "num_samples": len(rows),
        "num_errors": 0,
        "num_unparsed": 0,
        "settings": SETTINGS,
        "num_expected": None,
        "score": 50.0,
    }
    (folder / "report.json").write_text(json.dumps(report | changes))
    usual = {
        "prompt": "<image>\nWhat?",
        "images": [],
        "prediction": "yes",
        "error": None,
        "target": "yes",
        "score": 1.0,
    }
    lines = [json.dumps({"id": f"{folder.name}-{number}", **usual, **row}) for number, row in enumerate(rows)]
    (folder / "samples.jsonl").write_text("\n".join(lines) + "\n")
    return folder


def write_beginning(folder: Path, answered: int, expected: int | None) -> Path:
    """A run that has only begun."""
    folder.mkdir(parents=True)
    start = {"benchmark": folder.name, **({} if expected is None else {"num_samples": expected})}
    (folder / "run.json").write_text(json.dumps({**SETTINGS, "protocol": "quickstart", "start": start}))
    rows = [json.dumps({"id": str(number), "text": "yes", "error": None}) for number in range(answered)]
    (folder / "part-0.jsonl").write_text("".join(f"{row}\n" for row in rows))
    return folder


def write_picture(path: Path, size: tuple[int, int] = (900, 600)) -> Path:
    """A picture in one colour."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, "teal").save(path)
    return path
