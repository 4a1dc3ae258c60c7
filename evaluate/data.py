"""Samples to prepared batches: every rank takes its own share once, and no rank waits for another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import lightning as L
import torch
from torch.utils.data import DataLoader

from evaluate.batches import Batches
from evaluate.budget import free_memory
from evaluate.fitting import Limits, Room, find_room
from evaluate.predictor import measure_prompt
from evaluate.prompts import PromptDataset
from evaluate.sample import Generation, Sample
from evaluate.shares import count_pictures, share_out
from internvl.workers import START_METHOD, allow_many_files, end_with_parent, shield_workers

_NO_LIMITS = Limits()
_PICTURES_AHEAD = 512
"""Prepared pictures that wait in worker processes at most."""
_HELD = 2**30
_HELD_SHARE = 8
"""Bytes of prepared prompts that are put into order together: at most so many, and this part of the free memory."""


class BenchmarkDataModule(L.LightningDataModule):
    """The samples of one benchmark that are still to be answered.

    Args:
        todo: all of them, on every rank.
        batch_size: most prompts per forward.
        num_workers: processes per rank that prepare prompts.
        limits: what the user says about the model's room.
    """

    def __init__(self, todo: Sequence[Sample], batch_size: int, num_workers: int, limits: Limits = _NO_LIMITS) -> None:
        super().__init__()
        self.limits = limits
        # What is left of a nearly finished run may be fewer samples than ranks.
        self.allow_zero_length_dataloader_with_multiple_devices = True
        self.batch_size = batch_size
        self.num_workers = num_workers
        self.todo = todo

    def predict_dataloader(self) -> Batches:
        """This rank's share."""
        assert self.trainer is not None
        module: Any = self.trainer.lightning_module
        groups = share_out(self.todo, self.trainer.world_size)[self.trainer.global_rank]
        # Limits are for protocols that shorten prompts; a model that has some answers all other questions as well.
        shortens = any(sample.fitting is not None for sample in self.todo)
        room = find_room(module.predictor, self.limits, module.generation.max_new_tokens) if shortens else None
        return make_batches(groups, module.predictor, module.generation, self.batch_size, self.num_workers, room)


def make_batches(
    groups: Sequence[Sequence[Sample]],
    predictor: Any,
    generation: Generation,
    batch_size: int,
    num_workers: int,
    room: Room | None = None,
) -> Batches:
    """The batches of one rank, prepared ahead of the device."""
    fits = getattr(predictor, "fits", None)
    window = 4 * batch_size
    here = sum(map(len, groups)) <= batch_size or getattr(predictor, "prepares_here", False)
    workers = 0 if here else num_workers
    if workers:
        allow_many_files()
        shield_workers()
    pictures = max((count_pictures(sample) for group in groups[:1] for sample in group), default=0)
    # A window is put into order as a whole, so the next one has to be under way while this one is answered.
    ahead = min(window, _PICTURES_AHEAD // max(1, pictures))
    loader = DataLoader(
        # Targets stay here: other processes may not know their classes.
        PromptDataset(
            [[Sample(s.id, s.prompt, fitting=s.fitting) for s in group] for group in groups], predictor.processor, room
        ),
        batch_size=None,
        num_workers=workers,
        prefetch_factor=max(2, ahead // workers) if workers else None,
        multiprocessing_context=START_METHOD if workers else None,
        worker_init_fn=end_with_parent,
    )
    return Batches(
        loader,
        # What is drawn for one sample must not depend on its neighbours.
        rows=1 if generation.draws else batch_size,
        window=window,
        measure=lambda prompt: measure_prompt(predictor, prompt),
        fits=(lambda rows, longest: fits(rows, longest, generation)) if fits else (lambda rows, longest: True),
        held=min(_HELD, free_memory(torch.device("cpu")) // _HELD_SHARE),
    )
