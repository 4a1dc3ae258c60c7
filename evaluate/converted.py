"""Making a converted file: its bytes, the note of sources that lies beside it, and writing both whole or not at all."""

from __future__ import annotations

import gc
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaluate.conversion import Conversion, Row
from evaluate.data_file import find_problem
from internvl.errors import InputError
from internvl.progress import Progress

_SHOW_EVERY = 10_000
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Converted:
    """What a conversion gives.

    Attributes:
        content: of the file.
        counts: rows by the name of their list; the name is empty where there is one list alone.
        originals: the paths that were read.
    """

    content: bytes
    counts: Mapping[str, int]
    originals: tuple[Path, ...]

    @property
    def num_rows(self) -> int:
        """Rows of the last list, which is the one that sizes are published of."""
        return list(self.counts.values())[-1]


def convert(conversion: Conversion, originals: tuple[Path, ...]) -> Converted:
    """Make the content; nothing is written.

    Raises:
        InputError: an original is of another layout, or gives no rows.
    """
    for path in originals:
        if path.is_file() and (error := find_problem(path, "from where it was published")):
            raise type(error)(f"{conversion.output}: {error}")
    # Annotations are millions of small objects: looking for cycles among them takes longer than reading them.
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        made = conversion.convert(*originals)
        lists = made if isinstance(made, Mapping) else {"": made}
        kept = {name: list(_show_progress(conversion, rows)) for name, rows in lists.items()}
    finally:
        if was_enabled:
            gc.enable()
    if not all(kept.values()):
        raise InputError(f"{originals[0]}: expected rows for {conversion.output}, got none; get the file again")
    return Converted(_encode(conversion, kept), {name: len(rows) for name, rows in kept.items()}, originals)


def describe_sources(conversion: Conversion, converted: Converted, root: Path) -> bytes:
    """What the file beside a converted one says: how and from what it was made, the same every time."""
    note = {
        "file": conversion.output,
        "bytes": len(converted.content),
        "sha256": hashlib.sha256(converted.content).hexdigest(),
        "num_rows": converted.counts.get("", dict(converted.counts)),
        "converter": f"{getattr(conversion.convert, 'func', conversion.convert).__module__}",
        "version": conversion.version,
        "sources": [
            _describe_original(path, root, original.pattern)
            for original, path in zip(conversion.originals, converted.originals, strict=True)
        ],
    }
    return (json.dumps(note, indent=2) + "\n").encode()


def name_sources(path: Path) -> Path:
    """Where the note of sources lies."""
    return path.with_name(f"{path.name}.source.json")


def write(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Two commands may make the same file at the same time.
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.write_bytes(content)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _show_progress(conversion: Conversion, rows: Iterable[Row]) -> Iterator[Any]:
    """Rows as they are written, and how far they are."""
    layout = Path(conversion.output).suffix
    with Progress(conversion.output) as progress:
        for number, row in enumerate(rows, 1):
            yield json.dumps(row) if layout == ".jsonl" else row
            if number % _SHOW_EVERY == 0:
                progress.update(number, max(number, conversion.size or 0))


def _encode(conversion: Conversion, lists: Mapping[str, list[Any]]) -> bytes:
    layout, rows = Path(conversion.output).suffix, lists.get("", [])
    if layout == ".jsonl":
        return "".join(f"{line}\n" for line in rows).encode()
    if layout == ".txt":
        return "".join("\t".join(map(str, row.values())) + "\n" for row in rows).encode()
    return json.dumps(rows or {**conversion.head, **lists}).encode()


def _describe_original(path: Path, root: Path, pattern: str) -> Row:
    files = sorted(path.rglob(pattern)) if pattern else [path]
    digests = [(file.relative_to(path).as_posix(), _digest(file)) for file in files]
    whole = digests[0][1] if not pattern else hashlib.sha256(json.dumps(digests).encode()).hexdigest()
    return {
        "path": path.relative_to(root).as_posix(),
        **({"files": len(files)} if pattern else {}),
        "bytes": sum(file.stat().st_size for file in files),
        "sha256": whole,
    }


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
