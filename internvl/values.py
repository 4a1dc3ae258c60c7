"""The values of a config.json that decide what our code computes: each of a type and in a range that it can have."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from internvl.errors import InputError
from internvl.normalization import NORMALIZATIONS

_Rule = tuple[str, Callable[[Any], bool]]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _choose(*words: str) -> _Rule:
    return " or ".join(words), lambda value: isinstance(value, str) and value in words


_SWITCH: _Rule = "true or false", lambda value: value in (None, True, False)
_COUNT: _Rule = "a whole number of at least 1", lambda value: _is_whole(value) and value >= 1
_POSITIVE: _Rule = "a positive number", lambda value: _is_number(value) and 0 < value < float("inf")
_OPTIONAL_TEXT: _Rule = "a text or null", lambda value: value is None or isinstance(value, str)
_CHAT: Mapping[str, _Rule] = {
    "force_image_size": ("a whole number of at least 1, or null", lambda value: value in (None, 0) or _COUNT[1](value)),
    "downsample_ratio": ("a number above 0 and not above 1", lambda value: _is_number(value) and 0 < value <= 1),
    "select_layer": ("a whole number", _is_whole),
    "ps_version": _choose("v1", "v2"),
    "template": _OPTIONAL_TEXT,
    "system_message": _OPTIONAL_TEXT,
    "min_dynamic_patch": _COUNT,
    "max_dynamic_patch": _COUNT,
    "dynamic_image_size": _SWITCH,
    "use_thumbnail": _SWITCH,
    "pad2square": _SWITCH,
    "normalize_type": _choose(*NORMALIZATIONS),
}
_VISION: Mapping[str, _Rule] = {
    "hidden_size": _COUNT,
    "num_attention_heads": _COUNT,
    "num_hidden_layers": _COUNT,
    "intermediate_size": _COUNT,
    "image_size": _COUNT,
    "patch_size": _COUNT,
    "num_channels": _COUNT,
    "qkv_bias": _SWITCH,
    "qk_normalization": _SWITCH,
    "norm_type": _choose("rms_norm", "layer_norm"),
    "hidden_act": ("the name of an activation", lambda value: isinstance(value, str)),
    "layer_norm_eps": _POSITIVE,
    "initializer_factor": ("a number", _is_number),
}


def check_sections(values: Mapping[str, Any], names: tuple[str, ...], path: Path) -> None:
    """The parts of a config.json that have keys of their own are objects.

    Raises:
        InputError: one is not.
    """
    for name in names:
        if name in values and not isinstance(values[name], dict):
            _refuse(name, "an object", values[name], path)


def check_values(values: Mapping[str, Any], path: Path) -> None:
    """The values that there are can be computed with; of those of the language model, transformers knows.

    Args:
        values: of a config.json in the keys of `internvl_chat`.
        path: of the file, for messages.

    Raises:
        InputError: one cannot.
    """
    check_sections(values, ("vision_config", "llm_config"), path)
    vision = values.get("vision_config", {})
    for prefix, part, rules in (("", values, _CHAT), ("vision_config.", vision, _VISION)):
        for key, (words, holds) in rules.items():
            if key in part and not holds(part[key]):
                _refuse(prefix + key, words, part[key], path)
    depth, layer = vision.get("num_hidden_layers"), values.get("select_layer", -1)
    if depth is not None and not -depth - 1 <= layer <= depth:
        _refuse("select_layer", f"a layer of {depth}, -1 for the last one", layer, path)
    width, heads = vision.get("hidden_size"), vision.get("num_attention_heads")
    if None not in (width, heads) and width % heads:
        _refuse("vision_config.num_attention_heads", f"a divisor of {width}", heads, path)
    size = values.get("force_image_size") or vision.get("image_size", 224)
    side, ratio = size // vision.get("patch_size", 14), values.get("downsample_ratio", 0.5)
    block = round(1 / ratio)
    if side < 1 or side % block or int(side**2 * ratio**2) != (side // block) ** 2:
        _refuse(
            "downsample_ratio", f"one over a divisor of {side}, the patches along a tile of {size} pixels", ratio, path
        )


def _refuse(key: str, expected: str, got: Any, path: Path) -> None:
    raise InputError(f"{key}: expected {expected} in {path}, got {got!r}; restore the published value")
