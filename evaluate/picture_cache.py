"""A folder of pictures that a benchmark names by their addresses, and its manifest: what evaluation reads of it."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

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
    for number, row in enumerate(rows):
        where = f"{path}: picture {number}"
        try:
            entry = Entry(**row)
        except TypeError:
            raise InputError(f"{where}: expected index, url and status, got {str(row)[:80]}; {_REMEDY}") from None
        # A manifest may come from elsewhere, and says what to open.
        name = entry.file
        plain = isinstance(name, str) and Path(name).name == name and "\0" not in name and name[:1] != "."
        if type(entry.index) is not int or entry.index in entries or not plain:
            raise InputError(
                f"{where}: expected an index of its own and a file of its folder, got {entry.index!r} and {name!r}; "
                f"{_REMEDY}"
            )
        if problem := _find_problem(entry):
            raise InputError(f"{where}: expected {problem}; {_REMEDY}")
        entries[entry.index] = entry
    return entries


def _find_problem(entry: Entry) -> str:
    """What an entry should say and does not; empty where it was written by us."""
    url: Any = entry.url
    if not isinstance(url, str):
        return f"an address, got {str(url)[:40]}"
    if entry.status not in get_args(Status):
        return f"one of {', '.join(get_args(Status))} as status, got {str(entry.status)[:40]}"
    is_there = entry.status != "missing"
    if bool(entry.file) != is_there:
        return f"{'a' if is_there else 'no'} file, as it is {entry.status}, got {entry.file!r}"
    if is_there and not (isinstance(entry.sha256, str) and re.fullmatch("[0-9a-f]{64}", entry.sha256)):
        return f"the SHA-256 of its bytes, got {str(entry.sha256)[:70]!r}"
    return ""
