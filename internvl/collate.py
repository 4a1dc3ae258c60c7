"""Rows to a batch: pad on the right for training, on the left for generation, concatenate the tiles.

The mask comes from the lengths, never from comparing ids with the pad id: a real token may have that id.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from internvl.tokens import IGNORE_INDEX

_PER_TILE = ("pixel_values", "image_flags")


def collate(
    rows: Sequence[Mapping[str, Tensor]],
    *,
    pad_id: int,
    side: str = "right",
    length: int | None = None,
    blank: Tensor | None = None,
) -> dict[str, Tensor]:
    """Pad and stack rows.

    Args:
        rows: per-token tensors of any names, plus `pixel_values` (tiles first) and optionally `image_flags`.
        pad_id: fills every per-token tensor except `labels`.
        side: where the padding goes, "right" or "left".
        length: pad to at least this length.
        blank: a tile that a batch without any picture gets, with `image_flags` 0: the vision tower then runs on
            every rank and gets a zero gradient, so that no collective waits for it.

    Returns:
        The stacked rows, `attention_mask` (bool), `position_ids`, and `image_flags` (1 for a real picture).
    """
    lengths = [len(row["input_ids"]) for row in rows]
    width = max([*lengths, length or 0])
    mask = torch.zeros((len(rows), width), dtype=torch.bool)
    for line, count in enumerate(lengths):
        mask[line, slice(0, count) if side == "right" else slice(width - count, width)] = True
    batch: dict[str, Tensor] = {}
    names = dict.fromkeys(name for row in rows for name in row if name not in _PER_TILE)
    for name in names:
        example = next(row[name] for row in rows if name in row)
        fill = IGNORE_INDEX if name == "labels" else pad_id
        stacked = torch.full((len(rows), width), fill, dtype=example.dtype)
        values = [row[name] if name in row else _default(name, len(row["input_ids"])) for row in rows]
        stacked[mask] = torch.cat(values)
        batch[name] = stacked
    batch["attention_mask"] = mask
    if "position_ids" not in batch:
        batch["position_ids"] = (mask.long().cumsum(1) - 1).masked_fill(~mask, 1)
    tiles = torch.cat([row["pixel_values"] for row in rows])
    flags = [row.get("image_flags", torch.ones(len(row["pixel_values"]), dtype=torch.long)) for row in rows]
    batch["pixel_values"], batch["image_flags"] = tiles, torch.cat(flags)
    if len(tiles) == 0 and blank is not None:
        batch["pixel_values"], batch["image_flags"] = blank, torch.zeros(len(blank), dtype=torch.long)
    return batch


def _default(name: str, count: int) -> Tensor:
    """What a row without this tensor contributes: one ordinary dialogue."""
    return torch.arange(count) if name == "position_ids" else torch.zeros(count, dtype=torch.long)
