"""What tells one model folder from another: the name of its results, and a fingerprint that is read in a second."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from internvl.errors import InputError
from internvl.hub import split_name

_SAMPLE_BYTES = 1 << 12
_PIECES = 1 << 10


def name_results(argument: str, folder: Path) -> str:
    """The folder of a model's results: its name on the hub, or its last parts, as in the published result files."""
    named = split_name(argument)
    if named is not None:
        return "_".join(part.replace("/", "_") for part in named if part)
    parts = [part for part in folder.resolve().parts[-2:] if part not in ("export", "work_dirs", "pretrained", "/")]
    return "_".join(parts) or folder.resolve().name


def identify_files(settings: Sequence[Path], weights: Sequence[Path]) -> str:
    """A fingerprint of small files as a whole, and of files with weights by samples."""
    digest = hashlib.sha256()
    for file in settings:
        digest.update(file.read_bytes())
    for file in weights:
        digest.update(file.name.encode() + _sample_weights(file))
    return digest.hexdigest()[:16]


def _sample_weights(file: Path) -> bytes:
    """The header and a piece of every tensor: enough to notice other weights, without reading 80 GB.

    A piece of each, because training often changes one part of the model only. A pickled file does not tell where its
    tensors are; there the pieces lie at equal distances.
    """
    size = file.stat().st_size
    with file.open("rb") as stream:
        pieces, spans = [], [(begin, size) for begin in range(0, size, max(1, size // _PIECES))]
        if file.suffix == ".safetensors":
            start = stream.read(8)
            header = stream.read(min(int.from_bytes(start, "little"), size))
            try:
                entries = [
                    entry["data_offsets"] for name, entry in json.loads(header).items() if name != "__metadata__"
                ]
            except (ValueError, KeyError, TypeError, AttributeError):
                raise InputError(
                    f"checkpoint: expected safetensors weights in {file}, got others; copy it again"
                ) from None
            first = len(start) + len(header)
            pieces, spans = [start, header], [(first + begin, first + end) for begin, end in sorted(entries)]
        for begin, end in spans:
            stream.seek(begin)
            pieces.append(stream.read(min(_SAMPLE_BYTES, end - begin)))
    return b"".join(pieces)
