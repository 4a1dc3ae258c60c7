"""The cost of a model by its configuration: the matrices that its samples pass through."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from internvl.model.configuration import InternVLChatConfig
from tests.tiny import tiny_config, tiny_model
from train.config import ModelConfig
from train.cost import count_flops, measure_cost, measure_forward, measure_training
from train.counts import Counts

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


def test_blocks_behind_the_layer_that_is_used_cost_nothing():
    all_of_it, half = (measure_forward(tiny_config(select_layer=layer)) for layer in (-1, -2))
    assert (all_of_it.blocks, half.blocks) == (2, 1)
    assert measure_forward(tiny_config(select_layer=1)).blocks == 1


def test_other_blocks_of_the_pixel_shuffle_change_the_projector():
    model = tiny_model(downsample_ratio=0.25)
    weights = count_weights(model.mlp1)
    assert measure_forward(model.config).projector == 2 * model.config.tokens_per_tile * weights


def count_matrix_flops(model: nn.Module, tokens: int, tiles: int) -> float:
    """What torch multiplies with weights in a forward and a backward pass over one sample; attention is left out."""
    config: Any = model.config
    ids = torch.full((1, tokens), 11)
    ids[0, : config.tokens_per_tile * tiles] = config.image_context_token_id
    pixels = torch.zeros(tiles, 3, config.image_size, config.image_size)
    counter = FlopCounterMode(display=False)
    with counter:
        model(input_ids=ids, pixel_values=pixels, labels=ids, all_logits=True).loss.backward()
    counted = counter.get_flop_counts()["Global"]
    return float(sum(flops for name, flops in counted.items() if str(name) in ("aten.mm", "aten.addmm")))


def count_attention(config: InternVLChatConfig, options: ModelConfig, tokens: int, tiles: int) -> float:
    """What the products of attention are told to cost, which have no weights."""
    cost, passes = measure_forward(config), {True: 3, False: 1}
    tuned = cost.blocks if not options.freeze_backbone else 1 if options.unfreeze_vit_layers else 0
    tower = cost.block_attention * (3 * tuned + cost.blocks - tuned) * tiles
    reaches = not (options.freeze_llm and options.freeze_mlp) or tuned > 0
    return tower + cost.decoder_attention * passes[reaches] * tokens**2


@pytest.mark.parametrize(
    "frozen",
    [
        {},
        {"freeze_backbone": True},
        {"freeze_backbone": True, "freeze_mlp": True},
        {"freeze_backbone": True, "freeze_llm": True},
        {"freeze_llm": True},
        {"freeze_backbone": True, "unfreeze_vit_layers": -1},
        {"freeze_backbone": True, "unfreeze_vit_layers": 1, "freeze_mlp": True, "freeze_llm": True},
        {"freeze_llm": True, "unfreeze_lm_head": True},
    ],
)
def test_training_costs_what_torch_multiplies(frozen):
    options = ModelConfig(**frozen)
    model = tiny_model()
    model.vision_model.requires_grad_(not options.freeze_backbone)
    model.mlp1.requires_grad_(not options.freeze_mlp)
    model.language_model.requires_grad_(not options.freeze_llm)
    if options.unfreeze_vit_layers:
        model.vision_model.encoder.layers[options.unfreeze_vit_layers :].requires_grad_(True)
    if options.unfreeze_lm_head:
        model.language_model.lm_head.requires_grad_(True)
    tokens, tiles = 40, 3
    cost = measure_training(model.config, options)
    told = count_flops(cost, Counts(tokens=tokens, squares=tokens**2, tiles=tiles))
    attention = count_attention(model.config, options, tokens, tiles)
    # The class token passes the blocks, and the projector does not take it.
    assert told - attention == count_matrix_flops(model, tokens, tiles)


def test_adapters_let_the_gradient_through_what_they_leave_frozen():
    forward, whole = measure_forward(published()), measure_training(published(), ModelConfig())
    language = measure_training(published(), ModelConfig(use_llm_lora=16, freeze_backbone=True, freeze_mlp=True))
    assert language.per_token == 2 * (forward.decoder + forward.head)
    assert language.per_square == whole.per_square == 3 * forward.decoder_attention
    tower = forward.blocks * (forward.block + forward.block_attention)
    assert language.per_tile == tower + forward.projector
    both = measure_training(published(), ModelConfig(use_llm_lora=16, use_backbone_lora=16, freeze_mlp=True))
    blocks = forward.blocks * (2 * forward.block + 3 * forward.block_attention)
    assert both.per_tile == blocks + 2 * forward.projector
    last = measure_training(published(), ModelConfig(use_backbone_lora=16, unfreeze_vit_layers=-1))
    assert last.per_tile - both.per_tile == pytest.approx(forward.block + forward.projector)


def test_the_whole_of_a_model_costs_three_forward_passes():
    forward, training = measure_cost(published()), measure_training(published(), ModelConfig())
    counts = Counts(tokens=2048, squares=2048**2, tiles=3)
    assert count_flops(training, counts) == pytest.approx(3 * count_flops(forward, counts))
