"""Greedy decoding of a batch, without the parts that make one row wait for another or depend on it.

Rows that have ended leave the batch, and the vocabulary is projected for one position per row, never for the prompt.
Shape suffixes: B rows, L tokens, C width.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import pad
from transformers import DynamicCache

# Each of these takes a cache, positions and `logits_to_keep` alike; others are left to transformers' own `generate`.
DECODERS = ("llama", "qwen2", "qwen3", "qwen3_moe", "phi3")

_LONGER = ("dynamic", "longrope")
"""Scalings of positions that change all of them as soon as one row of the batch is longer than the trained length."""


WIDE = 4096
"""Padded prompts that are longer are read one by one: the mask of them all is square, and kernels with one are slow."""


@torch.inference_mode()
def decode_greedily(
    language_model: Any,
    embeds_BLC: Tensor,
    mask_BL: Tensor,
    *,
    max_new_tokens: int,
    min_new_tokens: int = 0,
    stop_id: int,
) -> list[list[int]]:
    """The most likely tokens of every row, one after the other, up to and without the stop token.

    Args:
        language_model: one of `DECODERS`.
        embeds_BLC: prompts, padded on the left.
        mask_BL: true for real tokens.
        max_new_tokens: of a row.
        min_new_tokens: no row ends before.
        stop_id: ends a row.
    """
    config = language_model.config
    positions = (mask_BL.long().cumsum(1) - 1).clamp(min=0)
    # Without padding there is no mask to make, and faster kernels to choose from.
    mask = None if bool(mask_BL.all()) else mask_BL.long()
    inputs: dict[str, Tensor] = {"inputs_embeds": embeds_BLC}
    read = mask is not None and embeds_BLC.shape[1] > WIDE
    cache, first_BV = _read_rows(language_model, embeds_BLC, mask_BL) if read else (DynamicCache(config=config), None)
    texts: list[list[int]] = [[] for _ in range(len(embeds_BLC))]
    rows = list(range(len(texts)))  # of the batch as it is now
    ended: set[int] = set()
    for step in range(max_new_tokens):
        if step or first_BV is None:
            logits_BV = _forward(language_model, cache, positions, attention_mask=mask, **inputs)
        else:
            logits_BV = first_BV
        if step < min_new_tokens:
            logits_BV[:, stop_id] = -torch.inf
        tokens = logits_BV.argmax(-1)
        for row, token in zip(rows, tokens.tolist(), strict=True):
            if token == stop_id:
                ended.add(row)
            elif row not in ended:
                texts[row].append(token)
        if len(ended) == len(texts):
            break
        kept = [place for place, row in enumerate(rows) if row not in ended]
        positions = positions[:, -1:] + 1
        # Leaving costs a copy of what the others have cached, so a few wait for more.
        if 4 * len(kept) <= 3 * len(rows):
            chosen: Any = torch.tensor(kept, device=tokens.device)
            # Not `batch_select_indices`: of a spread model, every layer's part lies on the device of that layer.
            cache.reorder_cache(chosen)
            tokens, positions = tokens[chosen], positions[chosen]
            mask = None if mask is None else mask[chosen]
            rows = [rows[place] for place in kept]
        if mask is not None:
            mask = torch.cat([mask, mask.new_ones(len(rows), 1)], dim=1)
        inputs = {"input_ids": tokens[:, None]}
    return texts


def _forward(language_model: Any, cache: DynamicCache, positions_BL: Tensor, **inputs: Tensor | None) -> Tensor:
    """What follows the last position of every row, with the cache grown by the others."""
    out = language_model(**inputs, position_ids=positions_BL, past_key_values=cache, use_cache=True, logits_to_keep=1)
    logits_BV: Tensor = out.logits[:, -1]
    return logits_BV


def _read_rows(language_model: Any, embeds_BLC: Tensor, mask_BL: Tensor) -> tuple[DynamicCache, Tensor]:
    """Prompts read each by itself: the cache of them all, padded on the left, and what follows each."""
    caches, logits = [], []
    for embeds_LC, mask_L in zip(embeds_BLC, mask_BL, strict=True):
        cache = DynamicCache(config=language_model.config)
        row_1LC = embeds_LC[mask_L][None]
        positions_1L = torch.arange(row_1LC.shape[1], device=row_1LC.device)[None]
        logits.append(_forward(language_model, cache, positions_1L, attention_mask=None, inputs_embeds=row_1LC))
        caches.append(cache)
    joined = DynamicCache(config=language_model.config)
    for number, layers in enumerate(zip(*(cache.layers for cache in caches), strict=True)):
        parts = []
        for name in ("keys", "values"):
            rows = [getattr(layer, name) for layer in layers]
            pads = [mask_BL.shape[1] - row.shape[2] for row in rows]
            parts.append(torch.cat([pad(row, (0, 0, count, 0)) for row, count in zip(rows, pads, strict=True)]))
            for layer in layers:
                setattr(layer, name, None)  # or there would be twice as much
        joined.update(parts[0], parts[1], number)
    return joined, torch.cat(logits)


def measure_context(config: Mapping[str, Any]) -> tuple[int | None, int | None]:
    """How many tokens a row may have, and how many so that other rows do not feel it; None for no limit.

    Args:
        config: `llm_config`.
    """
    longest = config.get("max_position_embeddings")
    if not longest:
        return None, None
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    kind = rope.get("rope_type") or rope.get("type") or "default"
    trained = rope.get("original_max_position_embeddings") or config.get("original_max_position_embeddings")
    if kind == "longrope":
        return longest, trained or longest
    stretched = int((trained or longest) * float(rope.get("factor") or 1.0))
    return max(longest, stretched), (longest if kind in _LONGER else None)


def forget_length(language_model: nn.Module) -> None:
    """Undo what the longest row so far did to positions, so that a row does not depend on those before it."""
    for module in language_model.modules():
        original, used = getattr(module, "original_inv_freq", None), getattr(module, "inv_freq", None)
        if isinstance(original, Tensor) and isinstance(used, Tensor):
            module.register_buffer("inv_freq", original.to(used.device), persistent=False)
            setattr(module, "max_seq_len_cached", getattr(module, "original_max_seq_len", None))  # noqa: B010
