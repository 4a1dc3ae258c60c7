"""Configurations: published config.json files are read as they are, and what they cannot mean is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from transformers import AutoConfig, LlamaConfig, Qwen2Config

from internvl.errors import InputError
from internvl.model import InternVisionConfig, InternVLChatConfig
from internvl.model.configuration import language_config
from tests.tiny import tiny_config

LANGUAGE = {"architectures": ["Qwen2ForCausalLM"], "hidden_size": 64, "num_attention_heads": 4, "num_hidden_layers": 1}


def published(**changes: Any) -> dict[str, Any]:
    """A config.json as the hub has them, with the remote-code entries and the stale keys of their history."""
    return {
        "_commit_hash": None,
        "architectures": ["InternVLChatModel"],
        "auto_map": {
            "AutoConfig": "configuration_internvl_chat.InternVLChatConfig",
            "AutoModel": "modeling_internvl_chat.InternVLChatModel",
        },
        "downsample_ratio": 0.5,
        "dynamic_image_size": True,
        "force_image_size": 448,
        "llm_config": {
            "_name_or_path": "./pretrained/some-model",
            "architectures": ["Qwen2ForCausalLM"],
            "model_type": "qwen2",
            "hidden_size": 64,
            "intermediate_size": 96,
            "num_attention_heads": 4,
            "num_hidden_layers": 1,
            "num_key_value_heads": 2,
            "rope_scaling": {"factor": 2.0, "rope_type": "dynamic", "type": "dynamic"},
            "rope_theta": 1000000.0,
            "torch_dtype": "bfloat16",
            "use_bfloat16": True,
            "vocab_size": 300,
        },
        "max_dynamic_patch": 12,
        "min_dynamic_patch": 1,
        "model_type": "internvl_chat",
        "pad2square": False,
        "ps_version": "v2",
        "select_layer": -1,
        "system_message": None,
        "template": "internvl2_5",
        "tie_word_embeddings": False,
        "torch_dtype": "bfloat16",
        "use_backbone_lora": 0,
        "use_llm_lora": 0,
        "use_thumbnail": True,
        "vision_config": {
            "_name_or_path": "OpenGVLab/InternViT-6B-448px-V1-5",
            "architectures": ["InternVisionModel"],
            "auto_map": {"AutoConfig": "configuration_intern_vit.InternVisionConfig"},
            "capacity_factor": 1.2,
            "drop_path_rate": 0.1,
            "hidden_size": 64,
            "image_size": 448,
            "initializer_factor": 0.1,
            "intermediate_size": 128,
            "laux_allreduce": "all_nodes",
            "model_type": "intern_vit_6b",
            "norm_type": "layer_norm",
            "num_attention_heads": 4,
            "num_experts": 8,
            "num_hidden_layers": 1,
            "patch_size": 14,
            "qk_normalization": False,
            "qkv_bias": True,
            "use_flash_attn": True,
        },
    } | changes


def test_a_published_config_is_read_with_its_stale_keys():
    config = InternVLChatConfig.from_dict(published())
    assert isinstance(config.llm_config, Qwen2Config)
    assert config.llm_config.rope_parameters["rope_theta"] == 1_000_000
    assert (config.llm_config.rope_parameters["rope_type"], config.llm_config.rope_parameters["factor"]) == (
        "dynamic",
        2,
    )
    assert isinstance(config.vision_config, InternVisionConfig)
    assert (config.vision_config.norm_type, config.vision_config.qkv_bias) == ("layer_norm", True)
    assert (config.template, config.max_dynamic_patch, config.system_message) == ("internvl2_5", 12, None)


def test_auto_config_reads_a_published_folder_without_its_remote_code(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(published()))
    assert isinstance(AutoConfig.from_pretrained(tmp_path), InternVLChatConfig)


def test_a_saved_config_is_read_back_equal(tmp_path):
    config = tiny_config("qwen2", system_message="Be brief.", select_layer=-2, ps_version="v1")
    config.save_pretrained(tmp_path)
    again = InternVLChatConfig.from_pretrained(tmp_path)
    assert again.to_dict() == config.to_dict()
    assert type(again.llm_config) is Qwen2Config


def test_checkpoints_without_a_shuffle_version_have_the_transposed_one():
    values = published()
    del values["ps_version"]
    assert InternVLChatConfig.from_dict(values).ps_version == "v1"


@pytest.mark.parametrize(("size", "ratio", "tokens"), [(448, 0.5, 256), (336, 0.5, 144), (224, 0.5, 64), (56, 0.25, 1)])
def test_visual_tokens_per_tile(size, ratio, tokens):
    config = InternVLChatConfig(force_image_size=size, downsample_ratio=ratio, llm_config=LANGUAGE)
    assert config.tokens_per_tile == tokens
    assert config.image_size == size


def test_without_a_forced_size_the_tower_s_own_counts():
    config = InternVLChatConfig(vision_config={"image_size": 336}, llm_config=LANGUAGE)
    assert config.image_size == 336
    assert config.tokens_per_tile == 144


def test_early_vision_configs_mean_the_six_billion_tower():
    # The first published files name neither the norm nor the normalisation of queries and keys.
    config = InternVisionConfig()
    assert (config.hidden_size, config.num_attention_heads, config.num_hidden_layers) == (3200, 25, 48)
    assert (config.norm_type, config.qk_normalization, config.qkv_bias) == ("rms_norm", True, False)


def test_an_unknown_shuffle_version_is_refused():
    with pytest.raises(ValueError, match=r"^ps_version: expected v1 or v2, got 'v3'; correct config.json"):
        InternVLChatConfig(ps_version="v3", llm_config=LANGUAGE)


@pytest.mark.parametrize(
    "values", [{"architectures": ["OtherForCausalLM"]}, {"architectures": None}, {"vocab_size": 9}]
)
def test_a_decoder_that_transformers_does_not_have_is_refused(values):
    with pytest.raises(ValueError, match=r"^llm_config: expected an architecture that transformers has, got"):
        language_config(values)


@pytest.mark.parametrize(
    ("architecture", "model_type"),
    [
        ("LlamaForCausalLM", "llama"),
        ("Qwen2ForCausalLM", "qwen2"),
        ("Phi3ForCausalLM", "phi3"),
        ("Qwen3ForCausalLM", "qwen3"),
        ("Qwen3MoeForCausalLM", "qwen3_moe"),
    ],
)
def test_the_architecture_chooses_the_decoder(architecture, model_type):
    assert language_config({"architectures": [architecture], "model_type": "something"}).model_type == model_type


@pytest.mark.parametrize("bias", [False, True])
def test_internlm2_is_llama_with_its_own_bias_key(bias):
    config = language_config(
        {
            "architectures": ["InternLM2ForCausalLM"],
            "auto_map": {"AutoConfig": "configuration_internlm2.InternLM2Config"},
            "model_type": "internlm2",
            "bias": bias,
            "hidden_size": 64,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "rope_theta": 1000000,
            "rms_norm_eps": 1e-5,
        }
    )
    assert isinstance(config, LlamaConfig)
    assert (config.attention_bias, config.mlp_bias, config.num_key_value_heads) == (bias, False, 2)
    assert (config.rope_parameters["rope_theta"], config.rms_norm_eps) == (1_000_000, 1e-5)
    assert config.architectures == ["LlamaForCausalLM"]


def test_internlm3_is_llama_if_its_projections_are_alike():
    values = {"architectures": ["InternLM3ForCausalLM"], "hidden_size": 64, "num_attention_heads": 4, "head_dim": 16}
    config = language_config(values | {"model_type": "internlm3", "bias": True, "qkv_bias": True})
    assert isinstance(config, LlamaConfig)
    assert (config.attention_bias, config.mlp_bias, config.architectures) == (True, True, ["LlamaForCausalLM"])
    with pytest.raises(InputError, match=r"`bias` and `qkv_bias` of an InternLM3 alike, got False and True; Llama has"):
        language_config(values | {"qkv_bias": True})
