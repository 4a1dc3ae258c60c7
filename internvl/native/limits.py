"""What only one of the two InternVL classes can compute: found in the values of a config.json, before any weight."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from internvl.errors import InputError
from internvl.normalization import NORMALIZATIONS

DECODERS = {
    "llama": "LlamaForCausalLM",
    "qwen2": "Qwen2ForCausalLM",
    "qwen3": "Qwen3ForCausalLM",
    "qwen3_moe": "Qwen3MoeForCausalLM",
    "phi3": "Phi3ForCausalLM",
    "internlm3": "InternLM3ForCausalLM",
}
"""Decoders of chat models in both layouts, by their model type."""

_QUERY_EPS = 1e-6
_FIXED: Mapping[str, Any] = {"vision_feature_select_strategy": "default", "projector_hidden_act": "gelu"}
_FIXED_VISION: Mapping[str, Any] = {
    "use_mean_pooling": True,  # without it there is a norm after the last layer
    "use_absolute_position_embeddings": True,
    "use_mask_token": False,
}
_TOLD_ELSEWHERE = ("select_layer", "downsample_ratio", "llm_config")
_KEEP = "keep it with `--to internvl`"


def check_native(values: Mapping[str, Any], folder: Path) -> None:
    """Our model computes what transformers' class does with these values.

    Raises:
        InputError: it does not, or the values contradict each other.
    """
    path = folder / "config.json"
    vision, language, extra = (values.get(key) or {} for key in ("vision_config", "text_config", "internvl_chat"))
    if extra.get("ps_version", "v2") != "v2":
        raise InputError(
            f"ps_version: expected v2 in {path}, whose model type has no other, got {extra['ps_version']!r}; "
            "use the checkpoint that it was made from"
        )
    doubled = next((key for key in _TOLD_ELSEWHERE if key in extra), None)
    if doubled is not None:
        raise InputError(
            f"internvl_chat: expected no {doubled} in {path}, got {extra[doubled]!r}; move it to the key that "
            "transformers reads"
        )
    _check_fixed(values, _FIXED, path)
    _check_fixed(vision, _FIXED_VISION, path)
    for key in ("image_size", "patch_size"):
        sides = vision.get(key)
        if isinstance(sides, list | tuple) and len(set(sides)) != 1:
            raise InputError(f"{key}: expected a square in {path}, got {list(sides)}; our model has no other")
    if not isinstance(values.get("vision_feature_layer", -1), int):
        raise InputError(
            f"vision_feature_layer: expected one layer in {path}, got {values['vision_feature_layer']}; "
            "our model has no features of several"
        )
    kind = language.get("model_type", "qwen2")
    if not isinstance(kind, str) or kind not in DECODERS:
        raise InputError(
            f"text_config: expected one of {', '.join(DECODERS)} in {path}, got {kind!r}; use a checkpoint with such "
            "a decoder"
        )
    eps = vision.get("layer_norm_eps", _QUERY_EPS)
    if vision.get("use_qk_norm", False) and eps != _QUERY_EPS:
        raise InputError(
            f"layer_norm_eps: expected {_QUERY_EPS} in {path}, as the norms of queries and keys have it there, got "
            f"{eps}; our model has one for all norms"
        )


def check_chat(values: Mapping[str, Any]) -> None:
    """transformers' class computes what our model does with these values.

    Raises:
        InputError: it does not.
    """
    vision, language = values.get("vision_config") or {}, values.get("llm_config") or {}
    version = values.get("ps_version", "v1")
    if version != "v2":
        raise InputError(
            f"ps_version: expected v2, the only order of visual tokens that transformers' class has, got {version}; "
            f"the weights were trained with the other one, {_KEEP}"
        )
    architecture = (language.get("architectures") or ["none"])[0]
    if architecture not in DECODERS.values():
        raise InputError(f"llm_config: expected one of {', '.join(DECODERS.values())}, got {architecture}; {_KEEP}")
    eps = vision.get("layer_norm_eps", _QUERY_EPS)
    if vision.get("qk_normalization", True) and eps != _QUERY_EPS:
        raise InputError(
            f"layer_norm_eps: expected {_QUERY_EPS}, which is fixed for queries and keys in transformers' class, got "
            f"{eps}; {_KEEP}"
        )
    if values.get("select_layer", -1) == 0:
        raise InputError(
            f"select_layer: expected another than 0, which transformers' class takes for none, got 0; {_KEEP}"
        )
    if values.get("pad2square", False) and not values.get("dynamic_image_size", False):
        raise InputError(
            f"pad2square: expected false, because transformers' image processor cannot pad, got true; {_KEEP}"
        )
    normalization = values.get("normalize_type", "imagenet")
    if normalization not in NORMALIZATIONS:
        raise InputError(
            f"normalize_type: expected one of {', '.join(NORMALIZATIONS)}, got {normalization!r}; choose one"
        )
    ratio = values.get("downsample_ratio", 0.5)
    if int(1 / ratio) != round(1 / ratio):
        raise InputError(
            f"downsample_ratio: expected one over a whole number that is exact in floating point, got {ratio}; {_KEEP}"
        )


def _check_fixed(values: Mapping[str, Any], fixed: Mapping[str, Any], path: Path) -> None:
    for key, value in fixed.items():
        if values.get(key, value) != value:
            raise InputError(f"{key}: expected {value!r} in {path}, got {values[key]!r}; our model has no other")
