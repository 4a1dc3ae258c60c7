"""Held-out rows: their loss while a run trains, the same on any number of devices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch.utils.data import DataLoader

from internvl.workers import START_METHOD, end_with_parent
from train.dataset import SFTDataset, TrainingCollator
from train.order import Numbers


@dataclass(frozen=True)
class HeldOut:
    """Rows that no step trains on.

    Attributes:
        dataset: every row once, by position.
        collator: makes batches.
        batches: positions that share a forward pass.
        num_workers: processes per rank that prepare rows.
    """

    dataset: SFTDataset
    collator: TrainingCollator
    batches: Sequence[Sequence[int]]
    num_workers: int = 0

    @property
    def names(self) -> list[str]:
        """Of the data sets."""
        return [source.name for source in self.dataset.mixture.sources]

    def load(self, rank: int, world: int) -> tuple[DataLoader[Any], int]:
        """The batches of a rank, as many as every other has, and how many of them count.

        Where parameters are spread over the ranks, all of them have to pass as often.
        """
        own = list(self.batches[rank::world])
        counted = len(own)
        own += [self.batches[0]] * (-(-len(self.batches) // world) - counted)
        loader: DataLoader[Any] = DataLoader(
            self.dataset,
            batch_sampler=own,  # type: ignore[arg-type]
            num_workers=self.num_workers,
            collate_fn=self.collator,
            multiprocessing_context=START_METHOD if self.num_workers else None,
            worker_init_fn=end_with_parent,
        )
        return loader, counted


def group_rows(
    tokens: Numbers, tiles: Numbers, *, max_tokens: int | None, max_tiles: int, batch_size: int
) -> list[list[int]]:
    """Batches of rows of like length: packs within the budget, or padded batches where there is no `max_tokens`."""
    batches: list[list[int]] = []
    room = (0, 0, 0)
    for position in np.argsort(-tokens, kind="stable").tolist():
        size, pictures = int(tokens[position]), int(tiles[position])
        fits = room[2] > 0 if max_tokens is None else room[0] >= size and room[1] >= pictures
        if not fits:
            batches.append([])
            room = (max_tokens or 0, max_tiles, batch_size)
        batches[-1].append(position)
        room = (room[0] - size, room[1] - pictures, room[2] - 1)
    return batches
