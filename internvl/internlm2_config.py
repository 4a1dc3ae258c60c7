"""The configuration of a Llama in the keys of InternLM2, for the tools that know that one by its own name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from internvl.errors import InputError

_COPIED = (
    *("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads"),
    *("num_key_value_heads", "max_position_embeddings", "initializer_range", "rms_norm_eps", "use_cache"),
    *("bos_token_id", "eos_token_id", "pad_token_id"),
)


def to_internlm2_config(values: Mapping[str, Any]) -> dict[str, Any]:
    """The `llm_config` of an InternLM2.

    Args:
        values: of the Llama, as transformers writes them.

    Raises:
        InputError: it is no Llama, or InternLM2 cannot be like it.
    """
    rope = dict(values.get("rope_parameters") or {})
    kind = rope.get("rope_type", "default")
    head_dim = values["hidden_size"] // values["num_attention_heads"]
    _refuse("model_type", "llama", values.get("model_type"))
    _refuse("head_dim", head_dim, values.get("head_dim") or head_dim)
    _refuse("hidden_act", "silu", values.get("hidden_act"))
    _refuse("mlp_bias", False, values.get("mlp_bias", False))
    _refuse("tie_word_embeddings", False, values.get("tie_word_embeddings", False))
    if kind not in ("default", "linear", "dynamic"):
        _refuse("rope_scaling", "none, linear or dynamic", kind)
    return {
        "architectures": ["InternLM2ForCausalLM"],
        "model_type": "internlm2",
        **{key: values[key] for key in _COPIED},
        "bias": values.get("attention_bias", False),
        "hidden_act": "silu",
        "rope_theta": rope.get("rope_theta", 10000),
        "rope_scaling": None if kind == "default" else {"type": kind, "factor": rope["factor"]},
        "tie_word_embeddings": False,
    }


def _refuse(key: str, expected: Any, got: Any) -> None:
    if got != expected:
        raise InputError(
            f"--to internlm2: expected {key} {expected} in the language model, got {got}; InternLM2 has nothing else: "
            "use --to internvl"
        )
