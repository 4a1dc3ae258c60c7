"""`certificate.json`: what a written checkpoint was proved to be, and whether its files are still those."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CERTIFICATE = "certificate.json"
_AT_ONCE = 1 << 22


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a certificate holds for the folder it lies in.

    Attributes:
        holds: it was proved, and the files are the same.
        reasons: why not.
    """

    holds: bool
    reasons: tuple[str, ...]


def check_certificate(folder: Path, *, hashes: bool = False) -> Verdict | None:
    """Look at the certificate of a folder; None if there is none.

    Args:
        folder: of a checkpoint.
        hashes: read all files again; else only their sizes are compared.
    """
    path = folder / CERTIFICATE
    if not path.is_file():
        return None
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        reasons = [] if values["holds"] is True else ["it did not hold when it was written", *values["reasons"]]
        reasons += list_changes(folder, values["output"]["files"], hashes=hashes)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return Verdict(False, (f"{CERTIFICATE} cannot be read ({type(error).__name__}: {error})",))
    return Verdict(not reasons, tuple(map(str, reasons)))


def list_changes(folder: Path, files: Mapping[str, Mapping[str, Any]], *, hashes: bool) -> list[str]:
    """In plain words, which files are no longer what was recorded; further files are none of ours."""
    changes = []
    for name, recorded in files.items():
        path = folder / name
        if not path.is_file():
            changes.append(f"{name} is missing")
        elif path.stat().st_size != recorded["bytes"]:
            changes.append(f"{name} has {path.stat().st_size} bytes, and had {recorded['bytes']}")
        elif hashes and hash_file(path) != recorded["sha256"]:
            changes.append(f"{name} has other contents of the same size")
    return changes


def describe_files(path: Path) -> dict[str, dict[str, Any]]:
    """Size and hash of every file of a folder, but for its own certificate; or of one file."""
    files = sorted(file for file in path.iterdir() if file.is_file()) if path.is_dir() else [path]
    return {
        file.name: {"bytes": file.stat().st_size, "sha256": hash_file(file)}
        for file in files
        if file.name != CERTIFICATE
    }


def hash_file(path: Path) -> str:
    """The sha256 of a file of any size."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while part := stream.read(_AT_ONCE):
            digest.update(part)
    return digest.hexdigest()
