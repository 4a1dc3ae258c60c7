"""Keys of a config.json that changed their names: written in the old and the new spelling, with the same values.

transformers 5 writes `rope_parameters` and `dtype`; what reads `rope_theta`, `rope_scaling`, `torch_dtype` would take
its defaults in silence, and a decoder with another theta talks nonsense.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from internvl.errors import InputError

_BESIDE = ("rope_theta", "partial_rotary_factor")
"""Entries of `rope_parameters` that the old spelling has beside `rope_scaling`, not in it."""
_KINDS = {"su": "longrope"}
_PHI3 = ("short_factor", "long_factor")
"""transformers 4 refuses a Phi3 with anything else than these and `type` in its `rope_scaling`."""


def add_spellings(values: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration, and all configurations in it, with both spellings of every such key.

    Raises:
        InputError: two spellings of one value contradict each other.
    """
    nested = dict(values)
    for key, part in values.items():
        if key.endswith("_config") and isinstance(part, Mapping):
            nested[key] = add_spellings(part)
    for one, other in (("dtype", "torch_dtype"), ("torch_dtype", "dtype")):
        if nested.get(one) is not None and nested.get(other) is None:
            nested[other] = nested[one]
    return nested | _spell_rope(nested)


def _spell_rope(values: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of both spellings; none for what is no decoder, or has a theta for every kind of layer."""
    rope = _read_rope(values)
    if "rope_theta" not in rope or any(isinstance(part, Mapping) for part in rope.values()):
        return {}
    kind = rope["rope_type"]
    beside = {key: rope[key] for key in _BESIDE if key in rope}
    scaling = {key: value for key, value in rope.items() if key not in _BESIDE}
    if values.get("model_type") == "phi3":
        beside |= {key: rope[key] for key in ("original_max_position_embeddings",) if key in rope}
        scaling = {key: rope[key] for key in _PHI3 if key in rope}
    return {"rope_parameters": rope, "rope_scaling": None if kind == "default" else {"type": kind, **scaling}, **beside}


def _read_rope(values: Mapping[str, Any]) -> dict[str, Any]:
    """The new spelling, whichever there is."""
    new, old = _unify(values.get("rope_parameters")), _unify(values.get("rope_scaling"))
    old |= {key: values[key] for key in _BESIDE if values.get(key) is not None}
    for key in old.keys() & new.keys():
        if old[key] != new[key]:
            raise InputError(
                f"config.json: expected one value of {key} in `rope_parameters` and beside it, got {new[key]!r} and "
                f"{old[key]!r}; keep the one that the model was trained with"
            )
    return {"rope_type": "default", **new, **old} if new or old else {}


def _unify(rope: Mapping[str, Any] | None) -> dict[str, Any]:
    if not isinstance(rope, Mapping | None):
        raise InputError(
            f"config.json: expected an object or null in `rope_parameters` and `rope_scaling`, got {rope!r}; restore it"
        )
    unified = dict(rope or {})
    kind = unified.pop("type", None)
    kind = unified.get("rope_type") or kind
    return unified if kind is None else unified | {"rope_type": _KINDS.get(str(kind), kind)}
