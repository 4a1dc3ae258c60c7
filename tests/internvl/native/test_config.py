"""The two spellings of a config.json: there and back, published folders, and what one side cannot express."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from transformers import InternVLVisionConfig

from internvl.errors import InputError
from internvl.folder import read_config
from internvl.model import InternVisionConfig, InternVLChatConfig
from internvl.native.config import _VISION, is_native, to_chat, to_native, to_tiling
from internvl.native.files import list_values
from internvl.processor import template_of
from tests.tiny import tiny_config

FOLDER = Path("folder")
PUBLISHED = {
    "architectures": ["InternVLForConditionalGeneration"],
    "model_type": "internvl",
    "image_seq_length": 256,
    "image_token_id": 151667,
    "downsample_ratio": 0.5,
    "projector_hidden_act": "gelu",
    "vision_feature_layer": -1,
    "vision_feature_select_strategy": "default",
    "torch_dtype": "bfloat16",
    "vision_config": {
        "model_type": "internvl_vision",
        "attention_bias": True,
        "image_size": [448, 448],
        "patch_size": [14, 14],
        "use_qk_norm": False,
        "layer_scale_init_value": 0.1,
    },
    "text_config": {
        "model_type": "qwen2",
        "hidden_size": 896,
        "num_attention_heads": 14,
        "rope_theta": 1000000.0,
        "rope_scaling": {"factor": 2.0, "rope_type": "dynamic", "type": "dynamic"},
        "vocab_size": 151674,
    },
}
TILING = {
    "crop_to_patches": False,
    "image_mean": [0.485, 0.456, 0.406],
    "image_std": [0.229, 0.224, 0.225],
    "min_patches": 1,
    "max_patches": 12,
    "size": {"height": 448, "width": 448},
}


def write(folder: Path, values: dict, **files: dict) -> Path:
    """A folder with a config.json and other files, named without their ending."""
    for name, content in {"config": values, **files}.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
    return folder


def test_missing_keys_mean_what_they_mean_in_the_classes():
    for key in _VISION:
        assert getattr(InternVisionConfig(), key.chat) == key.chat_default, key
        assert getattr(InternVLVisionConfig(), key.native) == key.native_default, key


def test_a_published_folder_is_read_with_what_it_was_trained_with(tmp_path):
    values = read_config(write(tmp_path, PUBLISHED, preprocessor_config=TILING))
    assert template_of(values).name == "internvl2_5"
    assert "书生·万象" in template_of(values).system
    wanted = {"ps_version": "v2", "select_layer": -1, "force_image_size": 448, "max_dynamic_patch": 12}
    wanted |= {"use_thumbnail": True, "dynamic_image_size": True, "normalize_type": "imagenet", "pad2square": False}
    assert values.items() >= wanted.items()
    config = InternVLChatConfig.from_dict(values)
    assert (config.vision_config.qkv_bias, config.vision_config.norm_type) == (True, "layer_norm")
    assert (config.vision_config.num_hidden_layers, config.tokens_per_tile) == (24, 256)
    assert config.llm_config.rope_parameters["rope_theta"] == 1e6
    assert config.dtype == torch.bfloat16


def test_newer_folders_have_the_tiling_in_the_file_of_the_processor(tmp_path):
    newer = {"image_processor": TILING | {"max_patches": 5}}
    assert read_config(write(tmp_path, PUBLISHED, processor_config=newer))["max_dynamic_patch"] == 5
    phi3 = PUBLISHED | {"text_config": {"model_type": "phi3"}}
    assert template_of(read_config(write(tmp_path, phi3))).name == "phi3-chat"


def test_there_and_back_nothing_changes():
    language = {"rope_theta": 1e6, "rope_scaling": {"type": "dynamic", "factor": 2.0}, "tie_word_embeddings": True}
    config = tiny_config(
        "qwen2",
        llm_config=language,
        vision_config={"drop_path_rate": 0.1, "norm_type": "layer_norm", "qkv_bias": True, "use_flash_attn": True},
        template="Hermes-2",
        system_message="Be brief.",
        normalize_type="siglip",
        dynamic_image_size=True,
        max_dynamic_patch=7,
        select_layer=-2,
        use_llm_lora=0,
    )
    values = list_values(config, torch.bfloat16)
    native = json.loads(json.dumps(to_native(values, 14)))
    assert is_native(native)
    assert not is_native(values)
    assert native["tie_word_embeddings"] is True
    assert native["image_token_id"] == 14
    assert native["text_config"]["rope_theta"] == 1e6
    back = to_chat(native, to_tiling(values), FOLDER)
    again = InternVLChatConfig.from_dict(back | {"image_context_token_id": 14})
    assert list_values(again, torch.bfloat16) == values | {"architectures": ["InternVLChatModel"]}


@pytest.mark.parametrize(
    ("changes", "tiling", "message"),
    [
        ({"internvl_chat": {"max_dynamic_patch": 6, "dynamic_image_size": True}}, TILING, "expected max_patches 6 as"),
        ({}, TILING | {"image_mean": [0.1, 0.2, 0.3]}, "image processor: expected the mean and deviation of imagenet"),
        ({}, TILING | {"size": {"height": 448, "width": 224}}, "image processor: expected size .*'width': 448"),
        ({"projector_hidden_act": "relu"}, {}, "projector_hidden_act: expected 'gelu'"),
    ],
)
def test_contradictions_and_what_is_impossible_are_refused(changes, tiling, message):
    with pytest.raises(InputError, match=message):
        to_chat(PUBLISHED | changes, tiling, FOLDER)


def test_what_transformers_cannot_compute_is_refused():
    with pytest.raises(InputError, match="ps_version: expected v2"):
        to_native(list_values(tiny_config(ps_version="v1"), torch.float32), 14)
