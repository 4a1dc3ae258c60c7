"""A Llama in the keys of InternLM2: read again it is the same Llama; what InternLM2 has not is refused."""

from __future__ import annotations

from typing import Any

import pytest
from transformers import LlamaConfig

from internvl.errors import InputError
from internvl.internlm2_config import to_internlm2_config
from internvl.model.configuration import language_config

SIZES = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 4, "num_key_value_heads": 2}


def make_llama(**changes: Any) -> dict[str, Any]:
    values: dict[str, Any] = LlamaConfig(**{**SIZES, "num_hidden_layers": 2, "vocab_size": 50, **changes}).to_dict()
    return values


@pytest.mark.parametrize(
    "changes",
    [
        {"rope_theta": 1e6, "rms_norm_eps": 1e-5},
        {"rope_theta": 5e5, "rope_scaling": {"type": "dynamic", "factor": 2.0}, "attention_bias": True},
        {"rope_scaling": {"rope_type": "linear", "factor": 4.0}, "eos_token_id": [2, 7]},
    ],
)
def test_read_again_it_is_the_same_llama(changes):
    values = make_llama(**changes)
    internlm2 = to_internlm2_config(values)
    assert internlm2["model_type"] == "internlm2"
    assert "rope_parameters" not in internlm2
    again = language_config(internlm2).to_dict()
    rope = {key: again["rope_parameters"].get(key) for key in values["rope_parameters"]}
    assert rope == values["rope_parameters"]
    kept = set(values) - {"architectures", "rope_parameters", "transformers_version", "dtype"}
    assert {key: again.get(key) for key in kept} == {key: values[key] for key in kept}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"mlp_bias": True},
            r"expected mlp_bias False in the language model, got True; InternLM2 has nothing else: use",
        ),
        ({"head_dim": 16}, r"expected head_dim 8 in the language model, got 16"),
        ({"hidden_act": "gelu"}, r"expected hidden_act silu"),
        ({"tie_word_embeddings": True}, r"expected tie_word_embeddings False"),
        (
            {"rope_scaling": {"rope_type": "yarn", "factor": 2.0, "original_max_position_embeddings": 64}},
            r"expected rope_scaling none, linear or dynamic in the language model, got yarn",
        ),
    ],
)
def test_what_internlm2_has_not_is_refused(changes, message):
    with pytest.raises(InputError, match=rf"^--to internlm2: {message}"):
        to_internlm2_config(make_llama(**changes))


def test_another_model_is_refused():
    with pytest.raises(InputError, match=r"expected model_type llama in the language model, got qwen2"):
        to_internlm2_config(make_llama() | {"model_type": "qwen2"})
