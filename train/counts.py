"""What an optimiser step holds, as sums that add up over batches, workers and ranks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Counts:
    """Sums over samples.

    Attributes:
        weight: of all learned tokens in the loss.
        samples: samples.
        tokens: real tokens; padding is none.
        tiles: tiles of pictures; a blank one is none.
        learned: tokens with a label.
        cut: samples that were longer than the maximum length.
        bad: samples that could not be used and were replaced.
        found: of these, the ones that no index knew of.
        squares: the squares of the samples' real tokens, which attention is in proportion to.
        slots: places of tokens that are computed, padding included.
    """

    weight: float = 0.0
    samples: float = 0
    tokens: float = 0
    tiles: float = 0
    learned: float = 0
    cut: float = 0
    bad: float = 0
    found: float = 0
    squares: float = 0
    slots: float = 0

    def to_tensor(self) -> Tensor:
        """All sums; doubles hold whole numbers exactly."""
        return torch.tensor([float(getattr(self, field.name)) for field in fields(self)], dtype=torch.float64)

    @classmethod
    def from_tensor(cls, values: Tensor) -> Counts:
        """The sums of `to_tensor`, or of the whole numbers with the same bits."""
        return cls(*values.view(torch.float64).tolist())

    @classmethod
    def add(cls, parts: Sequence[Tensor]) -> Tensor:
        """The sums of several tensors; of none, zeros."""
        return torch.stack([cls().to_tensor(), *parts]).sum(dim=0)
