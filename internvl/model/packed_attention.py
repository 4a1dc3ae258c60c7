"""Attention inside a pack: several samples lie on one line of tokens, and no sample sees another.

A decoder that once met a pack keeps `packed_sdpa`, which is plain SDPA for every other call. It is not switched back
after a forward pass: a layer that gradient checkpointing recomputes looks its attention up again in the backward pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from internvl.errors import InputError

PACKED_SDPA = "packed_sdpa"
"""The name under which transformers finds the function `packed_sdpa`."""


def measure_samples(sample_ids: Tensor) -> tuple[int, ...]:
    """Tokens of every sample of a pack, in order.

    Args:
        sample_ids: (1, tokens), rising from sample to sample.

    Raises:
        ValueError: several lines, or the tokens of a sample do not lie side by side.
    """
    if len(sample_ids) != 1:
        raise InputError(f"pack: expected one line of tokens, got {len(sample_ids)}; give each forward pass one pack")
    ids, lengths = torch.unique_consecutive(sample_ids[0], return_counts=True)
    if bool((ids.diff() <= 0).any()):
        raise InputError(
            f"sample_ids: expected numbers that rise from sample to sample, got {ids.tolist()[:8]}; "
            "keep the tokens of a sample together"
        )
    return tuple(lengths.tolist())


def pack_inputs(
    decoder: PreTrainedModel, lengths: Sequence[int], masks: Sequence[Tensor | None], device: torch.device
) -> dict[str, Any]:
    """What a decoder takes so that the samples of a pack do not see each other.

    SDPA runs sample by sample wherever the decoder finds its attention through transformers' interface. flash-attn has
    a kernel for packs, which transformers calls when it gets the borders; that path needs a GPU and is written from
    transformers' interface, not measured. What is left gets one dense mask.

    Args:
        decoder: the causal language model; its attention "sdpa" becomes "packed_sdpa".
        lengths: tokens per sample.
        masks: who sees whom inside each sample, (1, 1, length, length); None where that is causal.
        device: of the tokens.

    Raises:
        ValueError: the decoder's attention can do neither.
    """
    has_interface = decoder._supports_attention_backend
    if decoder.config._attn_implementation == "sdpa" and has_interface:
        AttentionInterface.register(PACKED_SDPA, packed_sdpa)
        AttentionMaskInterface.register(PACKED_SDPA, ALL_MASK_ATTENTION_FUNCTIONS["sdpa"])
        decoder.set_attn_implementation(PACKED_SDPA)
    used = str(decoder.config._attn_implementation)
    is_causal = all(mask is None for mask in masks)
    if used == PACKED_SDPA:
        # Without any mask transformers would build a dense one, because the positions restart.
        everything = torch.ones((1, sum(lengths)), dtype=torch.bool, device=device)
        return {"attention_mask": everything, "sample_lengths": tuple(lengths), "sample_masks": tuple(masks)}
    if used.startswith("flash_attention") and has_interface and is_causal:
        borders = torch.tensor([0, *accumulate(lengths)], dtype=torch.int32, device=device)
        longest = max(lengths)
        named = {"cu_seq_lens_q": borders, "cu_seq_lens_k": borders, "max_length_q": longest, "max_length_k": longest}
        return {"attention_mask": None, **named}
    if used not in ("sdpa", "eager"):
        raise InputError(f"pack: expected attention sdpa or flash_attention_2, got {used}; load the model with sdpa")
    seen = dense_mask(lengths, masks, device)
    if used == "eager":
        # It adds the mask to the scores.
        lowest = torch.finfo(decoder.dtype).min
        seen = torch.zeros(seen.shape, dtype=decoder.dtype, device=device).masked_fill(~seen, lowest)
    return {"attention_mask": seen}


def dense_mask(lengths: Sequence[int], masks: Sequence[Tensor | None], device: torch.device) -> Tensor:
    """Who sees whom in a pack, (1, 1, tokens, tokens): a token sees its own sample up to itself.

    Args:
        lengths, masks, device: as in `pack_inputs`.
    """
    numbers = torch.arange(len(lengths), device=device).repeat_interleave(torch.tensor(lengths, device=device))
    seen = (numbers[:, None] == numbers[None, :]).tril()[None, None]
    for stop, length, mask in zip(accumulate(lengths), lengths, masks, strict=True):
        if mask is not None:
            seen[..., stop - length : stop, stop - length : stop] = mask
    return seen


def packed_sdpa(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    sample_lengths: tuple[int, ...] | None = None,
    sample_masks: tuple[Tensor | None, ...] = (),
    **options: Any,
) -> tuple[Tensor, None]:
    """Transformers' SDPA; with `sample_lengths` once per sample, so that no work is done across samples.

    Args:
        module: the attention layer.
        query, key, value: (rows, heads, tokens, width); one row in a pack.
        attention_mask: of all pairs of tokens, or None for causal; in a pack the sliding window, if any.
        sample_lengths, sample_masks: as in `pack_inputs`; none for an ordinary call.
        options: of transformers' SDPA.
    """
    attend = ALL_ATTENTION_FUNCTIONS["sdpa"]
    if sample_lengths is None:
        output: tuple[Tensor, None] = attend(module, query, key, value, attention_mask, **options)
        return output
    # One split has one cheap backward; slices would each write a gradient of the whole line.
    parts = (tensor.split(sample_lengths, dim=2) for tensor in (query, key, value))
    mixed, start = [], 0
    for own_query, own_key, own_value, mask in zip(*parts, sample_masks, strict=True):
        stop = start + own_query.shape[2]
        if mask is None and attention_mask is not None:
            mask = attention_mask[..., start:stop, start:stop]
        mixed.append(attend(module, own_query, own_key, own_value, mask, **options)[0])
        start = stop
    return torch.cat(mixed, dim=1), None
