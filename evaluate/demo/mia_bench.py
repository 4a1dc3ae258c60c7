"""A small MIA-Bench in the official layout: instructions in components, and a fetched folder of pictures."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from evaluate.demo.pictures import draw, write_picture
from evaluate.picture_cache import Entry, write_manifest

FOLDER = Path("data/mia-bench")
QUESTIONS, PICTURES = FOLDER / "instruction_benchmark_all.json", FOLDER / "images"
TYPES = ("basic", "intermediate", "advanced", "complex", "creative")
KINDS = ("describe", "length_limit", "mention", "mention", "grammar")
WEIGHTS = ([10], [6, 4], [4, 3, 3], [4, 2, 2, 2], [4, 2, 1, 2, 1])


def list_items(count: int = 10, host: str = "http://pictures.example.org") -> list[dict[str, Any]]:
    """One to five components in turn; an address without a scheme, and files of one name."""
    items = []
    for number in range(count):
        parts = number % 5 + 1
        url = f"{host}/{number}/photo.jpg"
        items.append(
            {
                "image": url.split("//")[-1] if number == 3 else url,
                "instruction": f"Describe picture {number} in “two” words, in rhyme, without 'a'. ",
                "type": TYPES[number % len(TYPES)],
                "num_of_component": parts,
                "components": [f"part {part} of {number}" for part in range(parts)],
                "component_weight": WEIGHTS[parts - 1],
                "component_type": list(KINDS[:parts]),
            }
        )
    return items


def write_items(root: Path, items: list[dict[str, Any]]) -> Path:
    """The file of instructions alone."""
    (root / FOLDER).mkdir(parents=True, exist_ok=True)
    (root / QUESTIONS).write_text(json.dumps(items), encoding="utf-8")
    return root


def write_mia_bench(root: Path, count: int = 10, missing: tuple[int, ...] = ()) -> Path:
    """All files, as after fetching; some pictures may have been nowhere."""
    items = list_items(count)
    write_items(root, items)
    entries = []
    for number, item in enumerate(items):
        if number in missing:
            entries.append(Entry(number, item["image"], "missing", reason="the server says 404 Not Found"))
            continue
        name = f"{number:03d}_{hashlib.sha256(item['image'].encode()).hexdigest()[:12]}.jpg"
        write_picture(root / PICTURES / name, number)
        digest = hashlib.sha256(draw(number)).hexdigest()
        entries.append(Entry(number, item["image"], "fetched", name, digest, 32 + number % 8, 24))
    (root / PICTURES).mkdir(exist_ok=True)
    write_manifest(root / PICTURES, entries)
    return root
