"""The names and layout of transformers' own InternVL class, to ours and back: the same tensors, the qkv rows apart."""

from __future__ import annotations

from collections.abc import Iterable

from internvl.model.tensors import Layout, Shapes


def is_native(names: Iterable[str]) -> bool:
    """Whether tensors of these names are of transformers' own class, as on disk or as in memory."""
    return any(name.startswith(("vision_tower.", "model.vision_tower.")) for name in names)


def to_chat(shapes: Shapes) -> Layout:
    """Under our names."""
    raise NotImplementedError


def to_native(shapes: Shapes) -> Layout:
    """Under the names on disk of transformers' own class."""
    raise NotImplementedError
