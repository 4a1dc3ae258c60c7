"""A folder of pictures that a benchmark names by their addresses, and its manifest: what evaluation reads of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from evaluate.jsonl import read_object
from evaluate.submission import write_text
from internvl.errors import InputError

MANIFEST = "manifest.json"
Status = Literal["fetched", "supplied", "missing"]
_REMEDY = "fetch the pictures again"


@dataclass(frozen=True, slots=True)
class Entry:
    """One picture.

    Attributes:
        index: of the item that shows it.
        url: as the benchmark writes it.
        status: from its address, supplied by hand, or not there.
        file: its name in the folder; empty where it is missing.
        sha256: of its bytes.
        width, height: in pixels.
        reason: why it is missing.
    """

    index: int
    url: str
    status: Status
    file: str = ""
    sha256: str = ""
    width: int = 0
    height: int = 0
    reason: str = ""


def name_by_hand(index: int) -> str:
    """The name, without ending, under which a user may supply a picture."""
    return f"{index:03d}"


def write_manifest(folder: Path, entries: Sequence[Entry]) -> None:
    """Write the manifest, in the order of the items."""
    rows = [asdict(entry) for entry in sorted(entries, key=lambda entry: entry.index)]
    write_text(folder / MANIFEST, json.dumps({"format": 1, "pictures": rows}, indent=1, ensure_ascii=False) + "\n")


def read_manifest(folder: Path) -> dict[int, Entry]:
    """The entries by index.

    Raises:
        InputError: it was edited, or cut off.
    """
    path = folder / MANIFEST
    rows = read_object(path, _REMEDY).get("pictures")
    if not isinstance(rows, list):
        raise InputError(f"{path}: expected a list of pictures, got {str(rows)[:40]}; {_REMEDY}")
    entries: dict[int, Entry] = {}
    for row in rows:
        try:
            entry = Entry(**row)
        except TypeError:
            raise InputError(f"{path}: expected a picture with index, url and status, got {row!r}; {_REMEDY}") from None
        # A manifest may come from elsewhere, and says what to open.
        name = entry.file
        plain = isinstance(name, str) and Path(name).name == name and "\0" not in name and name[:1] != "."
        if entry.index in entries or not isinstance(entry.index, int) or not plain:
            raise InputError(
                f"{path}: expected each index once and files of its own folder, got {entry.index!r} and {name!r}; "
                f"{_REMEDY}"
            )
        entries[entry.index] = entry
    return entries
