"""Samples as lines of JSON: prompts and targets for the fingerprint of a run, and `samples.jsonl` for people.

Hundreds of thousands are written at a time, so encoders are made once, and texts are quoted without one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from evaluate.jsonl import quote
from evaluate.sample import Prediction, Sample, identify, identify_video
from internvl.conversation import Picture, StoredPicture

_LINES = 4096
"""Written at a time."""


def write_prompt(sample: Sample) -> str:
    """Id, turns and pictures of a sample, as a list in a list; never another text for the same prompt."""
    chat = sample.prompt
    turns = ", ".join([f"[{quote(turn.role)}, {quote(turn.text)}]" for turn in chat.turns])
    pictures = [quote(identify(picture)) for picture in chat.images]
    if chat.video is not None:
        pictures.append(quote(identify_video(chat.video)))
    rule = "" if sample.fitting is None else f", {quote(sample.fitting.name)}"
    return f"[{quote(sample.id)}, [{turns}], [{', '.join(pictures)}]{rule}]"


def write_target(sample: Sample) -> str:
    """Id and target of a sample; never another text for the same target."""
    return _sorted.encode([sample.id, sample.target])


def write_samples(
    folder: Path,
    rows: Sequence[tuple[Sample, Prediction, str]],
    values: Sequence[float | None],
    verdicts: Sequence[Mapping[str, Any]] | None = None,
) -> None:
    """Write `samples.jsonl`, whole or not at all.

    Args:
        folder: where.
        rows: samples with their predictions and clusters.
        values: their scores.
        verdicts: what a judge said about each.
    """
    lines = []
    numbers: dict[str, int] = {}
    partial = folder / ".samples.jsonl.partial"
    with partial.open("wb") as file:
        for place, ((sample, prediction, cluster), value) in enumerate(zip(rows, values, strict=True)):
            record = {
                "id": sample.id,
                "prompt": sample.prompt.turns[-1].text,
                "images": [_describe(picture) for picture in sample.prompt.images],
                "prediction": prediction.text,
                "error": prediction.error,
                "target": sample.target,
                "score": value,
                "cluster": numbers.setdefault(cluster, len(numbers)),
                **sample.info,
            }
            if prediction.shown is not None:
                record["shown"] = prediction.shown
            if verdicts is not None:
                record["judge"] = verdicts[place]
            lines.append(_encoder.encode(record))
            if len(lines) == _LINES:
                file.write(_join(lines))
                lines.clear()
        file.write(_join(lines))
    partial.replace(folder / "samples.jsonl")


def _join(lines: Sequence[str]) -> bytes:
    # An answer may hold half of a pair of code units, which no file can.
    return "".join([f"{line}\n" for line in lines]).encode("utf-8", "replace")


def _describe(picture: Picture) -> str:
    """A picture for people."""
    if isinstance(picture, Path):
        return str(picture)
    if isinstance(picture, StoredPicture):
        return f"<{picture.num_bytes} bytes>"
    return f"<{len(picture)} bytes>" if isinstance(picture, bytes) else f"<{picture.width} x {picture.height} pixels>"


def _plain(value: Any) -> Any:
    """Targets are small dataclasses, and plain things."""
    kind = type(value)
    if kind not in _fields:
        _fields[kind] = tuple(field.name for field in fields(kind)) if is_dataclass(kind) else None
    names = _fields[kind]
    if names is not None:
        return {name: getattr(value, name) for name in names}
    return sorted(value) if isinstance(value, set | frozenset) else str(value)


_fields: dict[type, tuple[str, ...] | None] = {}
_encoder = json.JSONEncoder(ensure_ascii=False, default=_plain)
_sorted = json.JSONEncoder(default=_plain, sort_keys=True)
