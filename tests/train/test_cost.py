"""The cost of a model by its configuration: the matrices that its samples pass through."""

from __future__ import annotations

from typing import Any

import pytest
from torch import nn

from internvl.model.configuration import InternVLChatConfig
from tests.tiny import tiny_config, tiny_model
from train.cost import measure_cost

SMALL = {
    "architectures": ["Qwen2ForCausalLM"],
    "vocab_size": 151674,
    "hidden_size": 896,
    "intermediate_size": 4864,
    "num_hidden_layers": 24,
    "num_attention_heads": 14,
    "num_key_value_heads": 2,
}
VISION = {
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "image_size": 448,
    "patch_size": 14,
}


def published(**language: Any) -> InternVLChatConfig:
    """Half a billion parameters with a tower of 300 million, and changes of that."""
    return tiny_config("qwen2", vision_config=VISION, llm_config=SMALL | language, force_image_size=448)


def count_weights(part: nn.Module) -> int:
    return sum(layer.weight.numel() for layer in part.modules() if isinstance(layer, nn.Linear))


@pytest.mark.parametrize("decoder", ["llama", "qwen2"])
def test_every_matrix_of_a_real_model_is_counted_once_per_token(decoder):
    model = tiny_model(decoder)
    assert measure_cost(model.config).per_token == 2 * count_weights(model.language_model)


def test_the_tower_is_counted_once_per_patch_and_the_projector_once_per_token_of_a_tile():
    model = tiny_model()
    vision, width = model.config.vision_config, model.config.llm_config.hidden_size
    patches = 4 * 4 + 1
    attention = 4 * patches**2 * vision.hidden_size * vision.num_hidden_layers
    projector = 2 * model.config.tokens_per_tile * (4 * vision.hidden_size * width + width**2)
    tower = 2 * patches * count_weights(model.vision_model) + attention
    assert measure_cost(model.config).per_tile == tower + projector
    assert measure_cost(model.config, vision_frozen=True).per_tile == pytest.approx(tower / 3 + projector)


def test_the_cost_of_a_published_model_is_the_one_of_its_sizes():
    cost = measure_cost(published())
    assert cost.per_token == pytest.approx(0.99e9, rel=0.01)
    assert cost.per_square == 2 * 24 * 896
    assert cost.per_tile == pytest.approx(0.72e12, rel=0.01)


def test_a_frozen_tower_changes_tiles_alone():
    cost, frozen = measure_cost(published()), measure_cost(published(), vision_frozen=True)
    assert frozen.per_tile == pytest.approx(cost.per_tile / 3, rel=0.02)
    assert (frozen.per_token, frozen.per_square) == (cost.per_token, cost.per_square)


def test_heads_may_be_wider_than_their_share_of_the_hidden_size():
    plain, wide = measure_cost(published()), measure_cost(published(architectures=["Qwen3ForCausalLM"], head_dim=128))
    assert wide.per_square == plain.per_square * 128 / 64
    assert wide.per_token - plain.per_token == 2 * 24 * 2 * (14 + 2) * 896 * 64


def test_of_many_experts_those_that_a_token_passes_count():
    keys = {"architectures": ["Qwen3MoeForCausalLM"], "head_dim": 64, "moe_intermediate_size": 768}
    four = measure_cost(published(**keys, num_experts=64, num_experts_per_tok=4))
    eight = measure_cost(published(**keys, num_experts=64, num_experts_per_tok=8))
    assert eight.per_token - four.per_token == 2 * 24 * 3 * 896 * 4 * 768


def test_frames_and_patches_of_other_sizes_count():
    small, large = (tiny_config(force_image_size=size, vision_config={"image_size": size}) for size in (56, 112))
    assert measure_cost(large).per_tile > 3.5 * measure_cost(small).per_tile
    assert measure_cost(large).per_token == measure_cost(small).per_token
