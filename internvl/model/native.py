"""The names and layout of transformers' own InternVL class, to ours and back: the same tensors, the qkv rows apart."""

from __future__ import annotations

import re
from collections.abc import Iterable

from internvl.model.tensors import Layout, Placed, Shapes, joined, rows_of, same

_NAMES = {
    "vision_model.embeddings.class_embedding": "vision_tower.embeddings.cls_token",
    "vision_model.embeddings.position_embedding": "vision_tower.embeddings.position_embeddings",
    "vision_model.embeddings.patch_embedding.": "vision_tower.embeddings.patch_embeddings.projection.",
    "vision_model.encoder.layers.": "vision_tower.encoder.layer.",
    "mlp1.0.": "multi_modal_projector.layer_norm.",
    "mlp1.1.": "multi_modal_projector.linear_1.",
    "mlp1.3.": "multi_modal_projector.linear_2.",
}
"""Beginnings of names, ours and theirs; all others are the same on disk."""

_IN_LAYER = {
    "attn.qkv.": "attention.qkv.",  # stands for their three projections
    "attn.q_norm.": "attention.q_norm.",
    "attn.k_norm.": "attention.k_norm.",
    "attn.proj.": "attention.projection_layer.",
    "mlp.": "mlp.",
    "norm1.": "layernorm_before.",
    "norm2.": "layernorm_after.",
    "ls1": "lambda_1",
    "ls2": "lambda_2",
}
"""Beginnings of what follows the number of a vision layer."""

_IN_MEMORY = {
    "model.vision_tower.": "vision_tower.",
    "model.multi_modal_projector.": "multi_modal_projector.",
    "model.language_model.": "language_model.model.",
    "lm_head.": "language_model.lm_head.",
}
_LAYER = re.compile(r"(?P<layer>vision_(?:model\.encoder\.layers|tower\.encoder\.layer)\.\d+\.)(?P<rest>.+)")
_QUERY = re.compile(r"(?P<layer>vision_tower\.encoder\.layer\.\d+\.attention\.)q_proj\.(?P<kind>weight|bias)")


def is_native(names: Iterable[str]) -> bool:
    """Whether tensors of these names are of transformers' own class, as on disk or as in memory."""
    return any(name.startswith(("vision_tower.", "model.vision_tower.")) for name in names)


def to_chat(shapes: Shapes) -> Layout:
    """Under our names, whether they are stored as on disk or as in memory; unknown names stay as they are."""
    renamed = {name: _rename(name, _IN_MEMORY) for name in shapes}
    # Where both spellings of a name are there, one keeps its own, to be reported.
    origins = {name if new != name and new in shapes else new: name for name, new in renamed.items()}
    layout: dict[str, Placed] = {}
    fused: set[str] = set()
    for name in origins:
        found = _QUERY.fullmatch(name)
        parts = [f"{found['layer']}{letter}_proj.{found['kind']}" for letter in "qkv"] if found else []
        if found and all(part in origins for part in parts):
            sources = [origins[part] for part in parts]
            layout[_to_ours(f"{found['layer']}qkv.{found['kind']}")] = joined(sources, shapes)
            fused |= set(sources)
    for name, origin in origins.items():
        if origin not in fused:
            layout[_to_ours(name)] = same(origin, shapes[origin])
    return layout


def to_native(shapes: Shapes) -> Layout:
    """Under the names on disk of transformers' own class; the experts of a layer must be apart, as published."""
    layout: dict[str, Placed] = {}
    for name, shape in shapes.items():
        target = _to_theirs(name)
        rows, rest = divmod(shape[0], 3) if shape else (0, 1)
        if target.startswith("vision_tower.") and ".attention.qkv." in target and not rest:
            for number, letter in enumerate("qkv"):
                part = target.replace(".qkv.", f".{letter}_proj.")
                layout[part] = rows_of(name, shape, [(number * rows, (number + 1) * rows)])
        else:
            layout[target] = same(name, shape)
    return layout


def _to_theirs(name: str) -> str:
    return _rename_in_layer(_rename(name, _NAMES), _IN_LAYER)


def _to_ours(name: str) -> str:
    back = {theirs: ours for ours, theirs in _IN_LAYER.items()}
    return _rename(_rename_in_layer(name, back), {theirs: ours for ours, theirs in _NAMES.items()})


def _rename_in_layer(name: str, beginnings: dict[str, str]) -> str:
    found = _LAYER.fullmatch(name)
    return name if found is None else found["layer"] + _rename(found["rest"], beginnings)


def _rename(name: str, beginnings: dict[str, str]) -> str:
    for old, new in beginnings.items():
        if name.startswith(old):
            return new + name.removeprefix(old)
    return name
