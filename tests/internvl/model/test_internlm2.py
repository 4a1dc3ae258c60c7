"""InternLM2 weights under Llama names: the regrouped rows, the names, and what passes through."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from internvl.model import InternVLChatModel, internlm2
from internvl.model.internlm2 import is_internlm2
from internvl.model.tensors import Rearranged, TensorDict
from tests.tiny import tiny_config

FUSED = "language_model.model.layers.0.attention.wqkv."
ATTENTION = "language_model.model.layers.0.self_attn."


def to_llama(state: dict[str, Tensor], *, num_heads: int, num_kv_heads: int) -> dict[str, Tensor]:
    source = TensorDict(state)
    llama = Rearranged(source, internlm2.to_llama(source.shapes, num_heads=num_heads, num_kv_heads=num_kv_heads))
    return {name: llama.read(name).view(shape) for name, shape in llama.shapes.items()}


def to_internlm2(state: dict[str, Tensor], num_heads: int, num_kv_heads: int) -> dict[str, Tensor]:
    """The way back, written from the description of the layout: per key/value head its queries, its key, its value."""
    group = num_heads // num_kv_heads
    stored = {}
    for name, tensor in state.items():
        if ".k_proj." in name or ".v_proj." in name:
            continue
        if ".q_proj." in name:
            queries = tensor.chunk(num_heads)
            keys = state[name.replace(".q_proj.", ".k_proj.")].chunk(num_kv_heads)
            values = state[name.replace(".q_proj.", ".v_proj.")].chunk(num_kv_heads)
            parts = []
            for head in range(num_kv_heads):
                parts += [*queries[head * group : (head + 1) * group], keys[head], values[head]]
            stored[name.replace(".self_attn.q_proj.", ".attention.wqkv.")] = torch.cat(parts)
            continue
        for old, new in (
            ("model.embed_tokens.", "model.tok_embeddings."),
            ("self_attn.o_proj.", "attention.wo."),
            ("mlp.gate_proj.", "feed_forward.w1."),
            ("mlp.down_proj.", "feed_forward.w2."),
            ("mlp.up_proj.", "feed_forward.w3."),
            ("post_attention_layernorm.", "ffn_norm."),
            ("input_layernorm.", "attention_norm."),
            ("language_model.lm_head.", "language_model.output."),
        ):
            name = name.replace(old, new)
        stored[name] = tensor
    return stored


def test_fused_rows_are_grouped_per_key_value_head():
    rows = torch.arange(8.0).reshape(8, 1)
    converted = to_llama({FUSED + "weight": rows}, num_heads=4, num_kv_heads=2)
    assert {name: tensor.flatten().tolist() for name, tensor in converted.items()} == {
        ATTENTION + "q_proj.weight": [0, 1, 4, 5],
        ATTENTION + "k_proj.weight": [2, 6],
        ATTENTION + "v_proj.weight": [3, 7],
    }


def test_rows_of_one_head_stay_together():
    rows = torch.arange(16.0)
    converted = to_llama({FUSED + "bias": rows}, num_heads=4, num_kv_heads=2)
    assert converted[ATTENTION + "q_proj.bias"].tolist() == [0, 1, 2, 3, 8, 9, 10, 11]
    assert converted[ATTENTION + "k_proj.bias"].tolist() == [4, 5, 12, 13]
    assert converted[ATTENTION + "v_proj.bias"].tolist() == [6, 7, 14, 15]


def test_only_the_language_model_is_renamed():
    state = {"vision_model.attention.wo.weight": torch.ones(1), "mlp1.0.weight": torch.ones(2)}
    assert to_llama(state, num_heads=4, num_kv_heads=2).keys() == state.keys()


def test_the_layout_is_known_by_its_fused_projection():
    assert is_internlm2({FUSED + "weight": torch.ones(1)})
    assert not is_internlm2({ATTENTION + "q_proj.weight": torch.ones(1)})
    assert not is_internlm2({"vision_model.layers.0.attention.wqkv.weight": torch.ones(1)})


@pytest.mark.parametrize(("num_kv_heads", "bias"), [(1, False), (2, False), (2, True), (4, True)])
def test_every_tensor_of_a_model_survives_the_way_there_and_back(num_kv_heads, bias):
    language = {"num_attention_heads": 4, "num_key_value_heads": num_kv_heads, "attention_bias": bias}
    model = InternVLChatModel(tiny_config(llm_config=language))
    state = model.state_dict()
    stored = to_internlm2(state, 4, num_kv_heads)
    assert is_internlm2(stored)
    converted = to_llama(stored, num_heads=4, num_kv_heads=num_kv_heads)
    assert converted.keys() == state.keys()
    assert all(torch.equal(converted[name], state[name]) for name in state)
    source = TensorDict(state)
    back = Rearranged(source, internlm2.to_internlm2(source.shapes, num_heads=4, num_kv_heads=num_kv_heads))
    assert back.shapes.keys() == stored.keys()
    assert all(torch.equal(back.read(name).view(tensor.shape), tensor) for name, tensor in stored.items())
