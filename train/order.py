"""The order of samples: one sequence for the whole run, a function of seed and position alone.

Optimiser step t takes the positions [t * batch, (t + 1) * batch) however many devices, workers or forward passes share
them, so a run that goes on elsewhere sees exactly the samples that are left.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch.utils.data import Sampler


class RunOrder(Sampler[list[int]]):
    """The batches of one rank, from a position to the end of the run.

    Args:
        num_samples: rows in the mixture.
        num_steps: optimiser steps of the whole run.
        batch_size: samples per optimiser step over all ranks.
        per_device: samples per forward pass.
        rank, world: this rank, and how many there are.
        seed: of the shuffles, a new one per pass over the data.
        start: optimiser steps that are already done.
    """

    def __init__(
        self,
        num_samples: int,
        num_steps: int,
        batch_size: int,
        per_device: int,
        *,
        rank: int = 0,
        world: int = 1,
        seed: int = 0,
        start: int = 0,
    ) -> None:
        self.num_samples = num_samples
        self.num_steps = num_steps
        self.batch_size = batch_size
        self.per_device = per_device
        self.rank = rank
        self.world = world
        self.seed = seed
        self.start = start

    def __len__(self) -> int:
        """Batches of the whole run: Lightning counts those before `start` as done."""
        return self.num_steps * (self.batch_size // (self.per_device * self.world))

    def __iter__(self) -> Iterator[list[int]]:
        epoch, shuffled = -1, torch.empty(0, dtype=torch.long)
        for step in range(self.start, self.num_steps):
            begin = step * self.batch_size
            for offset in range(self.rank * self.per_device, self.batch_size, self.per_device * self.world):
                batch = []
                for position in range(begin + offset, begin + offset + self.per_device):
                    wanted, place = divmod(position, self.num_samples)
                    if wanted != epoch:
                        epoch, shuffled = wanted, self._shuffle(wanted)
                    batch.append(int(shuffled[place]))
                yield batch

    def _shuffle(self, epoch: int) -> torch.Tensor:
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + epoch)
        return torch.randperm(self.num_samples, generator=generator)
