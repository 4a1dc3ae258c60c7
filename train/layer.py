"""A layer of an index: arrays in a folder, mapped into memory, with a fingerprint of what they were made from."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from internvl.errors import InputError
from train.measure import Array

_PROBE_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Layer:
    """The arrays of a folder, and a hash of all their bytes."""

    arrays: Mapping[str, Array]
    content: str


def open_layer(folder: Path, fingerprint: str, names: Sequence[str]) -> Layer | None:
    """The arrays of a folder, or None where they are missing, damaged or made from something else."""
    try:
        meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
        if meta["fingerprint"] != fingerprint:
            return None
        if any(meta["arrays"][name] != probe_file(folder / f"{name}.npy") for name in names):
            return None
        return Layer(map_arrays(folder, names), meta["content"])
    except (OSError, ValueError, KeyError, TypeError, EOFError):
        return None


def write_layer(folder: Path, fingerprint: str, arrays: Mapping[str, Array]) -> Layer:
    """Write a layer beside its place, rename it, and open it: a reader sees all of it or nothing.

    Raises:
        InputError: the folder cannot be written, the disk is full, or somebody else changed what was written.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="writing-", dir=folder.parent) as name:
            draft = Path(name)
            _write_arrays(draft, fingerprint, arrays)
            if open_layer(folder, fingerprint, tuple(arrays)) is None:  # else another process was faster
                shutil.rmtree(folder, ignore_errors=True)
                with suppress(OSError):  # another process was faster by a hair
                    (draft / "layer").rename(folder)
    except OSError as error:
        raise InputError(
            f"index: expected a folder with room that can be written, got {folder.parent} ({error.strerror}); name "
            "another one with --data.index_cache"
        ) from None
    layer = open_layer(folder, fingerprint, tuple(arrays))
    if layer is None:
        raise InputError(
            f"index: expected the files just written in {folder}, got others; do not change or delete it while it is "
            "built, and start again"
        )
    return layer


def _write_arrays(draft: Path, fingerprint: str, arrays: Mapping[str, Array]) -> None:
    folder = draft / "layer"
    folder.mkdir()
    content = hashlib.sha256()
    for name, array in arrays.items():
        array = np.ascontiguousarray(array)
        np.save(folder / f"{name}.npy", array)
        content.update(array.view(np.uint8).data if array.size else b"")
    probes = {name: probe_file(folder / f"{name}.npy") for name in arrays}
    meta = {"fingerprint": fingerprint, "content": content.hexdigest(), "arrays": probes}
    (folder / "meta.json").write_text(json.dumps(meta, indent=1), encoding="utf-8")


def map_arrays(folder: Path, names: Sequence[str]) -> dict[str, Array]:
    """The arrays of a folder without a look at what they were made from."""
    return {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in names}


def hash_parts(*parts: str) -> str:
    """A hash of texts; the names of files may hold bytes that are no text."""
    return hashlib.sha256("\n".join(parts).encode(errors="surrogateescape")).hexdigest()


def probe_file(path: Path) -> str:
    """Size and a hash of both ends of a file: reading all of a large one at every start would take minutes."""
    size = path.stat().st_size
    with path.open("rb") as file:
        found = hashlib.sha256(file.read(_PROBE_BYTES))
        file.seek(max(0, size - _PROBE_BYTES))
        found.update(file.read(_PROBE_BYTES))
    return f"{size} {found.hexdigest()}"
