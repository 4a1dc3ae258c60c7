"""Old and new keys of a config.json: both are written, and every reader finds the same values."""

from __future__ import annotations

import json

import pytest
from transformers import CONFIG_MAPPING

from internvl.errors import InputError
from internvl.model.configuration import language_config
from internvl.spellings import add_spellings

LONG = {"short_factor": [1.0] * 4, "long_factor": [2.0] * 4}
SIZES = {"hidden_size": 32, "num_attention_heads": 4, "num_key_value_heads": 2, "num_hidden_layers": 1}


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("llama", {"rope_theta": 500.0}),
        ("qwen2", {"rope_theta": 1e6, "rope_scaling": {"type": "dynamic", "factor": 2.0}}),
        ("qwen2", {"rope_parameters": {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 1e6}}),
        ("qwen3", {"rope_theta": 5e6, "rope_scaling": {"rope_type": "yarn", "factor": 4.0}}),
        (
            "phi3",
            {"rope_theta": 1e4, "rope_scaling": {"type": "longrope", **LONG}, "original_max_position_embeddings": 64},
        ),
    ],
)
def test_transformers_reads_the_same_with_every_spelling(kind, values):
    before = CONFIG_MAPPING[kind](**SIZES, **json.loads(json.dumps(values)))
    written = add_spellings(json.loads(before.to_json_string(use_diff=False)))
    assert written["rope_theta"] == written["rope_parameters"]["rope_theta"] == before.rope_parameters["rope_theta"]
    # The whole, what an older version sees, and what a later one would keep.
    for hidden in ((), ("rope_parameters",), ("rope_theta", "rope_scaling", "partial_rotary_factor")):
        seen = {key: value for key, value in written.items() if key not in hidden}
        after = CONFIG_MAPPING[kind](**json.loads(json.dumps(seen)))
        rope = {key: value for key, value in after.rope_parameters.items() if key != "type"}
        assert rope == {key: value for key, value in before.rope_parameters.items() if key != "type"}, hidden


def test_old_readers_find_their_words():
    dynamic = add_spellings({"rope_parameters": {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 1e6}})
    assert dynamic["rope_scaling"] == {"type": "dynamic", "rope_type": "dynamic", "factor": 2.0}
    assert add_spellings({"rope_parameters": {"rope_type": "default", "rope_theta": 3.0}})["rope_scaling"] is None
    rope = {"rope_type": "longrope", "rope_theta": 1e4, "original_max_position_embeddings": 64, **LONG}
    phi3 = add_spellings({"model_type": "phi3", "rope_parameters": rope})
    assert phi3["rope_scaling"] == {"type": "longrope", **LONG}
    assert phi3["original_max_position_embeddings"] == 64


def test_the_first_name_of_a_kind_is_replaced():
    """transformers 5 refuses what it makes of the old one."""
    old = {"rope_theta": 1e4, "rope_scaling": {"type": "su", **LONG}, "original_max_position_embeddings": 64}
    config = language_config({"architectures": ["Phi3ForCausalLM"], "model_type": "phi3", **SIZES, **old})
    assert config.rope_parameters["rope_type"] == "longrope"
    assert config.rope_parameters["original_max_position_embeddings"] == 64


def test_types_are_told_twice_at_every_depth():
    written = add_spellings({"dtype": "bfloat16", "llm_config": {"torch_dtype": "float16"}, "vision_config": {}})
    assert written["torch_dtype"] == "bfloat16"
    assert written["llm_config"]["dtype"] == "float16"
    assert written["vision_config"] == {}


def test_what_is_no_decoder_stays():
    per_layer = {"rope_parameters": {"full_attention": {"rope_theta": 1.0}, "sliding_attention": {"rope_theta": 2.0}}}
    for values in ({"hidden_size": 3}, per_layer, add_spellings({"rope_theta": 7.0})):
        assert add_spellings(values) == values


def test_a_contradiction_is_named():
    with pytest.raises(InputError, match=r"one value of rope_theta in .*, got 5.0 and 6.0; keep the one"):
        add_spellings({"llm_config": {"rope_theta": 6.0, "rope_parameters": {"rope_theta": 5.0}}})
