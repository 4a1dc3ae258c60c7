"""Rows to a batch: padded on the right for training or on the left for generation, or packed into one line.

The mask comes from the lengths, never from comparing ids with the pad id: a real token may have that id.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Literal

import torch
from torch import Tensor

from internvl.errors import InputError
from internvl.tokens import IGNORE_INDEX

Weighting = Literal["token", "sample", "square"]

_PER_TILE = ("pixel_values", "image_flags")
# A label weighs the number of labels of its sample to this power.
_POWERS = {"token": 0.0, "sample": -1.0, "square": -0.5}


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
    return batch | _join_tiles(rows, blank)


def pack(
    rows: Sequence[Mapping[str, Tensor]], *, blank: Tensor | None = None, weighting: Weighting = "token"
) -> dict[str, Tensor]:
    """Lay rows with labels one behind the other on a single line, without padding.

    Args:
        rows: as in `collate`.
        blank: as in `collate`; the whole pack gets one, and only if no row has a picture.
        weighting: what a label weighs in the loss where its sample has k of them: "token" 1, "sample" 1/k (samples
            count alike), "square" 1/sqrt(k).

    Returns:
        The tensors of the rows, (1, tokens), with `position_ids` that restart at every sample (those of isolated rows
        stay), `sample_ids` (0, 1, ...) and `loss_weight` (0 where nothing is learned). The first token of a sample has
        no label: the last token of the sample before would predict it.
    """
    rows = [weigh(row, weighting) for row in rows]
    lengths = [len(row["input_ids"]) for row in rows]
    names = dict.fromkeys([name for row in rows for name in row if name not in _PER_TILE] + ["position_ids"])
    batch: dict[str, Tensor] = {}
    for name in names:
        values = [row[name] if name in row else _default(name, len(row["input_ids"])) for row in rows]
        batch[name] = torch.cat(values)[None]
    batch["labels"][0, [0, *accumulate(lengths)][:-1]] = IGNORE_INDEX
    batch["loss_weight"] = batch["loss_weight"].masked_fill(batch["labels"] == IGNORE_INDEX, 0.0)
    batch["sample_ids"] = torch.arange(len(rows)).repeat_interleave(torch.tensor(lengths))[None]
    return batch | _join_tiles(rows, blank)


def weigh(row: Mapping[str, Tensor], weighting: Weighting) -> dict[str, Tensor]:
    """The row with `loss_weight`: 0 where nothing is learned, else by the number k of learned tokens of its sample.

    Args:
        row: with `labels`; the first one is never predicted and does not count.
        weighting: "token" 1 (long samples count more), "sample" 1/k (all samples count alike), "square" 1/sqrt(k).
            Every pair of an isolated row is a sample of its own.
    """
    if weighting not in _POWERS:
        raise InputError(f"weighting: expected one of {', '.join(_POWERS)}, got {weighting!r}; correct the name")
    learned = row["labels"] != IGNORE_INDEX
    learned[:1] = False
    samples = row["branch_ids"] if "branch_ids" in row else torch.zeros_like(row["labels"])
    counts = torch.bincount(samples[learned], minlength=int(samples.max()) + 1).clamp(min=1)
    weight = counts.float() ** _POWERS[weighting]
    return {**row, "loss_weight": weight[samples].masked_fill(~learned, 0.0)}


def _join_tiles(rows: Sequence[Mapping[str, Tensor]], blank: Tensor | None) -> dict[str, Tensor]:
    """The tiles of all rows with their flags, or the blank tile in place of none."""
    tiles = torch.cat([row["pixel_values"] for row in rows])
    if len(tiles) == 0 and blank is not None:
        return {"pixel_values": blank, "image_flags": torch.zeros(len(blank), dtype=torch.long)}
    flags = [row.get("image_flags", torch.ones(len(row["pixel_values"]), dtype=torch.long)) for row in rows]
    return {"pixel_values": tiles, "image_flags": torch.cat(flags)}


def _default(name: str, count: int) -> Tensor:
    """What a row without this tensor contributes: one ordinary dialogue."""
    return torch.arange(count) if name == "position_ids" else torch.zeros(count, dtype=torch.long)
