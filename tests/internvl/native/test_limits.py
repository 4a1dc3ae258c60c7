"""What only one of the two InternVL classes can compute is refused with the reason, and nothing else is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from internvl.errors import InputError
from internvl.native.limits import DECODERS, check_chat, check_native

FOLDER = Path("folder")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ps_version": "v1"}, "ps_version: expected v2, .*, got v1; .*`--to internvl`"),
        ({"select_layer": 0}, "select_layer: expected another than 0, .*`--to internvl`"),
        ({"pad2square": True}, "pad2square: expected false, .*`--to internvl`"),
        ({"downsample_ratio": 0.34}, "downsample_ratio: expected one over a whole number"),
        ({"normalize_type": "other"}, "normalize_type: expected one of imagenet, clip, siglip, got 'other'"),
        ({"vision_config": {"layer_norm_eps": 1e-5}}, "layer_norm_eps: expected 1e-06, .*, got 1e-05; "),
        ({"llm_config": {"architectures": ["GPT2LMHeadModel"]}}, "llm_config: expected one of Llama.*GPT2LMHeadModel"),
    ],
)
def test_what_transformers_cannot_compute_is_refused(changes, message):
    with pytest.raises(InputError, match=message):
        check_chat({"ps_version": "v2", "llm_config": {"architectures": ["LlamaForCausalLM"]}} | changes)


def test_weights_without_a_version_have_the_older_order():
    with pytest.raises(InputError, match=r"ps_version: expected v2, .*, got v1"):
        check_chat({"llm_config": {"architectures": ["LlamaForCausalLM"]}})


@pytest.mark.parametrize("architecture", DECODERS.values())
def test_what_it_can_compute_passes(architecture):
    values: dict[str, Any] = {"ps_version": "v2", "llm_config": {"architectures": [architecture]}}
    check_chat(values)
    # Padding is for one tile only, and one number for all norms is enough where queries have none.
    check_chat(values | {"pad2square": True, "dynamic_image_size": True})
    check_chat(values | {"vision_config": {"qk_normalization": False, "layer_norm_eps": 1e-5}})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"internvl_chat": {"ps_version": "v1"}}, r"ps_version: expected v2 in .*folder.config\.json"),
        ({"internvl_chat": {"select_layer": -4}}, "internvl_chat: expected no select_layer in .*; move it"),
        ({"vision_config": {"use_mean_pooling": False}}, "use_mean_pooling: expected True"),
        ({"vision_config": {"image_size": [448, 224]}}, r"image_size: expected a square in .*\[448, 224\]"),
        ({"vision_config": {"use_qk_norm": True, "layer_norm_eps": 1e-5}}, "layer_norm_eps: expected 1e-06"),
        ({"vision_feature_layer": [-1, -2]}, "vision_feature_layer: expected one layer"),
        ({"vision_feature_select_strategy": "full"}, "vision_feature_select_strategy: expected 'default'"),
        ({"projector_hidden_act": "relu"}, "projector_hidden_act: expected 'gelu'"),
        ({"text_config": {"model_type": "gpt2"}}, "text_config: expected one of llama, .*'gpt2'"),
    ],
)
def test_what_our_model_cannot_compute_is_refused(changes, message):
    check_native({"vision_config": {"image_size": [448, 448]}}, FOLDER)
    with pytest.raises(InputError, match=message):
        check_native(changes, FOLDER)
