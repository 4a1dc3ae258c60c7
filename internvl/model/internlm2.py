"""InternLM2 weights under Llama names: the same network, exactly.

The fused projection groups its rows per key/value head (its queries, then key, then value): a plain split in three
would be wrong without an error.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from torch import Tensor

_NAMES = {
    "model.tok_embeddings.": "model.embed_tokens.",
    "attention.wo.": "self_attn.o_proj.",
    "feed_forward.w1.": "mlp.gate_proj.",
    "feed_forward.w3.": "mlp.up_proj.",
    "feed_forward.w2.": "mlp.down_proj.",
    "attention_norm.": "input_layernorm.",
    "ffn_norm.": "post_attention_layernorm.",
    "language_model.output.": "language_model.lm_head.",
}


def is_internlm2(names: Iterable[str]) -> bool:
    """Whether tensors of these names are of a chat model with an InternLM2."""
    return any(name.startswith("language_model.") and ".attention.wqkv." in name for name in names)


def to_llama(state: Mapping[str, Tensor], *, num_heads: int, num_kv_heads: int) -> dict[str, Tensor]:
    """Rename and regroup the `language_model.*` tensors; all others pass through."""
    converted: dict[str, Tensor] = {}
    group = num_heads // num_kv_heads
    for name, tensor in state.items():
        if not name.startswith("language_model."):
            converted[name] = tensor
        elif ".attention.wqkv." in name:
            rows = tensor.unflatten(0, (num_kv_heads, group + 2, -1))
            parts = {"q": rows[:, :group], "k": rows[:, group : group + 1], "v": rows[:, group + 1 :]}
            for letter, part in parts.items():
                target = name.replace(".attention.wqkv.", f".self_attn.{letter}_proj.")
                converted[target] = part.flatten(0, 2).contiguous()
        else:
            for old, new in _NAMES.items():
                name = name.replace(old, new)
            converted[name] = tensor
    return converted
