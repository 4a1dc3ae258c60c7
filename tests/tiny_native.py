"""Tiny folders in the layout of transformers' own class, and what that class and ours make of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import InternVLForConditionalGeneration

from internvl.model import InternVLChatModel
from internvl.model.checkpoint import write_tensors
from internvl.model.layout import as_stored
from internvl.model.native import to_native
from internvl.model.tensors import Rearranged, TensorDict
from internvl.native.files import save_native_files
from internvl.processor import InternVLProcessor
from internvl.tiler import normalize
from tests.tiny import IMAGE_SIZE, TOKENS_PER_TILE

EXPERTS = {"moe_intermediate_size": 32, "num_experts": 4, "num_experts_per_tok": 2, "head_dim": 16}
LIKE_300M = {"norm_type": "layer_norm", "qkv_bias": True, "qk_normalization": False, "num_hidden_layers": 5}
"""A vision tower as that of the small models; what `tiny_config` has is like the 6B one."""


def write_native(folder: Path, model: InternVLChatModel, processor: InternVLProcessor) -> dict[str, str]:
    """The whole folder; returns the differences that are told."""
    source = as_stored(TensorDict(dict(model.named_parameters())))
    write_tensors(folder, Rearranged(source, to_native(source.shapes)))
    config: Any = model.config
    return save_native_files(folder, config, model.dtype, processor)


def load_native(folder: Path) -> InternVLForConditionalGeneration:
    """With transformers alone; every tensor is used and every parameter filled."""
    model, report = InternVLForConditionalGeneration.from_pretrained(
        folder, output_loading_info=True, dtype=torch.float32, local_files_only=True
    )
    assert not any(report.values()), report
    return model.eval()


def vary_parameters(model: torch.nn.Module) -> None:
    """Every norm, bias and layer scale becomes a number of its own, so that a swapped one shows."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(7)
        for parameter in model.parameters():
            if parameter.dim() < 2:
                parameter.add_(torch.randn_like(parameter) * 0.3)


def question_with_picture(model: InternVLChatModel) -> tuple[Tensor, Tensor]:
    """Ids with the placeholders of one tile, and the tile."""
    draw = torch.Generator().manual_seed(3)
    ids = torch.randint(100, 900, (1, 20), generator=draw)
    ids[0, 3 : 3 + TOKENS_PER_TILE] = model.context_id
    return ids, torch.randint(0, 256, (1, 3, IMAGE_SIZE, IMAGE_SIZE), dtype=torch.uint8, generator=draw)


@torch.no_grad()
def compare_answers(ours: InternVLChatModel, theirs: InternVLForConditionalGeneration) -> None:
    """The same logits, and the same text with a cache."""
    ids, tiles = question_with_picture(ours)
    pixels = normalize(tiles)
    expected = ours(ids, tiles).logits
    assert expected.std() > 0.5
    assert not torch.allclose(expected, ours(ids, 255 - tiles).logits, atol=0.1)
    torch.testing.assert_close(theirs(input_ids=ids, pixel_values=pixels).logits, expected, atol=2e-5, rtol=0)
    options = {"max_new_tokens": 8, "do_sample": False, "eos_token_id": -1}
    mask = torch.ones_like(ids)
    text = theirs.generate(input_ids=ids, pixel_values=pixels, attention_mask=mask, **options)
    assert text[:, ids.shape[1] :].tolist() == ours.generate(ids, tiles, **options).tolist()
