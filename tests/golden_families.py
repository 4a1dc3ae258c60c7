"""Golden families: which ones wait for their code, how one is found and read, and how a run reports them.

A family is `NAME.json` with stored outputs of an original implementation, or a folder `NAME/` with a folder per case.
The implemented families are nowhere listed: they are the names in the `golden` markers of the collected tests.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest

GOLDEN_DIR = pytest.StashKey[Path]()
"""Where a run keeps the folder it compares with."""

NOT_FAMILIES = frozenset({"README.md", "tokenizer"})
"""Entries of a golden folder that no test has to compare with: the schema, and an input that other families share."""

PLANNED: frozenset[str] = frozenset()
"""Families that are known and have no test yet; whoever writes the test takes the name out."""

FAMILY, NOT_IMPLEMENTED, UNKNOWN = "golden_family", "golden_not_implemented", "golden_unknown"
"""Keys under which a test report carries a family name to the summary, also from another process."""

_STATES = {NOT_IMPLEMENTED: "not implemented yet", UNKNOWN: "unknown"}
_COLUMNS = ("passed", "failed", "skipped")
_COLUMN_OF = {
    **{column: column for column in _COLUMNS},
    **{"error": "failed", "xpassed": "passed", "xfailed": "skipped"},
}


def list_entries(folder: Path) -> list[str]:
    """Names of all files and folders that should belong to a family."""
    return sorted(entry.name for entry in folder.iterdir() if entry.name not in NOT_FAMILIES) if folder.is_dir() else []


def name_family(entry: str) -> str:
    """The family of a file or folder name."""
    return entry.removesuffix(".json")


def find_family(folder: Path, family: str) -> Path | None:
    """The file or folder of a family, or None where this golden folder does not have it."""
    candidates = (folder / f"{family}.json", folder / family)
    return next((path for path in candidates if path.exists()), None)


@cache
def load_family(path: Path) -> dict[str, Any]:
    """Read a family's JSON once per process; tests share the result and must not change it."""
    family = json.loads(path.read_text(encoding="utf-8"), object_hook=_decode_number)
    if not isinstance(family, dict) or not isinstance(family.get("cases"), list):
        raise ValueError(
            f"{path}: expected an object with a list 'cases', got something else; see the README beside it"
        )
    return family


def _decode_number(value: dict[str, Any]) -> Any:
    return float(value["$float"]) if value.keys() == {"$float"} else value


def select_cases(path: Path, kinds: Collection[str] | None = None) -> list[tuple[str, Any]]:
    """(readable id, case) for every case of the wanted kinds; the cases of a folder family are its sub-folders."""
    if path.is_dir():
        return [(folder.name, folder) for folder in sorted(path.iterdir()) if folder.is_dir()]
    return [
        ("-".join([str(case.get("id") or f"{path.stem}-{number:03d}"), *case.get("tags", ())]), case)
        for number, case in enumerate(load_family(path)["cases"], start=1)
        if kinds is None or case.get("kind") in kinds
    ]


def tabulate(results: Iterable[tuple[str, str, str]]) -> list[str]:
    """Lines of the summary, one per family.

    Args:
        results: (report key, family or entry, outcome as pytest names it), one for each test report.
    """
    counts: dict[str, dict[str, int]] = {}
    states: dict[str, str] = {}
    for key, name, outcome in results:
        if key == FAMILY and outcome in _COLUMN_OF:
            counts.setdefault(name, dict.fromkeys(_COLUMNS, 0))[_COLUMN_OF[outcome]] += 1
        elif key in _STATES:
            states[name] = _STATES[key]
    if not counts and not states:
        return []
    width = max(map(len, ["family", *counts, *states]))
    rows: list[tuple[str, Sequence[object]]] = [("family", _COLUMNS)]
    rows += [(name, tuple(counts[name].values())) for name in sorted(counts)]
    lines = [name.ljust(width) + "".join(f"{cell!s:>9}" for cell in cells) for name, cells in rows]
    return lines + [
        f"{name.ljust(width)}  {state}" for name, state in sorted(states.items(), key=lambda row: row[::-1])
    ]
