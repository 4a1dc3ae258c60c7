"""What a model's forward pass costs per token, pair of tokens and tile, from its configuration alone."""

from __future__ import annotations

from typing import Any

from internvl.model.configuration import InternVLChatConfig
from train.packing import CostModel


def measure_cost(config: InternVLChatConfig, *, vision_frozen: bool = False) -> CostModel:
    """FLOPs of a model, counted over its matrices; what is small beside them does not count.

    Args:
        config: of the model.
        vision_frozen: the vision tower has no backward pass.
    """
    decoder, vision = config.llm_config, config.vision_config
    heads = decoder.num_attention_heads
    head_size = getattr(decoder, "head_dim", None) or decoder.hidden_size // heads
    attention = decoder.hidden_size * head_size * 2 * (heads + getattr(decoder, "num_key_value_heads", heads))
    return CostModel.from_sizes(
        decoder_params=decoder.num_hidden_layers * (attention + _count_mlp(decoder))
        + decoder.vocab_size * decoder.hidden_size,
        decoder_layers=decoder.num_hidden_layers,
        decoder_width=heads * head_size,
        vision_params=vision.num_hidden_layers
        * (4 * vision.hidden_size**2 + 2 * vision.hidden_size * vision.intermediate_size),
        vision_layers=vision.num_hidden_layers,
        vision_width=vision.hidden_size,
        patches=(config.image_size // vision.patch_size) ** 2 + 1,
        tile_tokens=config.tokens_per_tile,
        vision_frozen=vision_frozen,
    )


def _count_mlp(decoder: Any) -> int:
    """Parameters of a layer's gated MLP that a token passes through."""
    experts = getattr(decoder, "num_experts_per_tok", None)
    width = experts * decoder.moe_intermediate_size if experts else decoder.intermediate_size
    return int(3 * decoder.hidden_size * width)
