"""Frames of a video for LLaVA-NeXT: one view of each, as it was trained for videos, instead of a view and its pieces.

The classes of transformers cut every picture into pieces. What the model makes of a picture that is one tile by itself,
its features and one line break, is made here by the model's own parts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from internvl.errors import InputError

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

FRAMES = "frame_values"
"""In a prepared prompt, where `pixel_values` would be."""
_AT_ONCE = 32
"""Frames in the vision tower."""


def is_llava_next(processor: Any) -> bool:
    """Whether this is the processor of such a model; relatives have ways with videos of their own."""
    return type(processor).__name__ == "LlavaNextProcessor"


def cut_frames(processor: Any, frames: Sequence[Image]) -> Tensor:
    """One tile per picture, of shape (frames, 3, size, size): the view of the whole that AnyRes begins with."""
    import torch

    settings = processor.image_processor
    side = _read_side(settings)
    # The grid of one piece costs the least; a frame at a time, because pictures in memory are large.
    cut = [settings([frame], image_grid_pinpoints=[[side, side]], return_tensors="pt") for frame in frames]
    return torch.cat([part["pixel_values"][:, 0] for part in cut])


def count_frame_tokens(processor: Any) -> int:
    """Tokens of a frame: its patches, what the vision tower puts in front of them, and a line break."""
    side = _read_side(processor.image_processor) // processor.patch_size
    in_front = processor.num_additional_image_tokens - (processor.vision_feature_select_strategy == "default")
    return int(side * side + in_front + 1)


def embed_frames(model: Any, inputs: dict[str, Tensor]) -> Tensor:
    """The embeddings of a batch of prompts, frames in their places.

    Raises:
        InputError: the processor's settings count other tokens than the model gives.
    """
    import torch

    config, ids = model.config, inputs["input_ids"]
    with torch.no_grad():
        embeds = model.get_input_embeddings()(ids)
        places = ids == config.image_token_id
        features = torch.cat([encode_frames(model, part) for part in inputs[FRAMES].split(_AT_ONCE)]).flatten(0, 1)
        if len(features) != int(places.sum()):
            raise InputError(
                f"checkpoint: expected processor_config.json to count {len(features)} tokens for "
                f"{len(inputs[FRAMES])} frames, as the model does, got {int(places.sum())}; correct patch_size, "
                "num_additional_image_tokens and vision_feature_select_strategy there"
            )
        embeds[places] = features.to(embeds.dtype)
    return embeds


def encode_frames(model: Any, tiles: Tensor) -> Tensor:
    """The features of tiles that are a picture each, of shape (tiles, tokens, width)."""
    import torch

    config, parts = model.config, model.model
    hidden = parts.vision_tower(tiles, output_hidden_states=True).hidden_states
    layers = config.vision_feature_layer
    chosen = hidden[layers] if isinstance(layers, int) else torch.cat([hidden[layer] for layer in layers], dim=-1)
    if config.vision_feature_select_strategy == "default":
        chosen = chosen[:, 1:]
    features = parts.multi_modal_projector(chosen)
    line_break = parts.image_newline.to(features).expand(len(features), 1, -1)
    return torch.cat([features, line_break], dim=1)


def _read_side(settings: Any) -> int:
    """Pixels of a side of a tile, as the processor reads its settings."""
    for sizes, name in ((settings.crop_size, "height"), (settings.size, "height"), (settings.size, "shortest_edge")):
        value = (sizes or {}).get(name) if isinstance(sizes, dict) or sizes is None else getattr(sizes, name, None)
        if value:
            return int(value)
    raise InputError("checkpoint: expected a size in preprocessor_config.json, got none; add it")
