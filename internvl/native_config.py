"""The two spellings of a config.json: `internvl_chat`, as published by OpenGVLab, and `internvl`, of transformers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any


def is_native(values: Mapping[str, Any]) -> bool:
    """Whether these are the values of transformers' own class."""
    return values.get("model_type") == "internvl" and "text_config" in values


def to_chat(values: Mapping[str, Any], tiling: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """In the keys of `internvl_chat`."""
    raise NotImplementedError
