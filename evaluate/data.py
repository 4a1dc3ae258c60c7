"""Samples to prepared batches: every rank takes its own share once, and no rank waits for another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import lightning as L
from torch.utils.data import DataLoader, Dataset

from evaluate.sample import Sample
from internvl.conversation import Conversation
from internvl.errors import InputError
from internvl.workers import START_METHOD, end_with_parent, shield_workers

Item = tuple[str, Any, str | None]
"""Sample id, prepared prompt, error."""


class PromptDataset(Dataset[Item]):
    """Prepares prompts in worker processes; a prompt that cannot be prepared is a record, not a crash."""

    def __init__(self, samples: Sequence[Sample], processor: Callable[[Conversation], Any]) -> None:
        self.samples = samples
        self.processor = processor

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Item:
        """The prepared prompt, or the reason why there is none."""
        sample = self.samples[index]
        try:
            return sample.id, self.processor(sample.prompt), None
        except InputError as error:
            return sample.id, None, str(error)


class BenchmarkDataModule(L.LightningDataModule):
    """The samples of one benchmark that are still to be answered.

    Args:
        todo: all of them, in the same order on every rank.
        batch_size: prompts per forward.
        num_workers: processes per rank that prepare prompts.
    """

    def __init__(self, todo: Sequence[Sample], batch_size: int, num_workers: int) -> None:
        super().__init__()
        # What is left of a nearly finished run may be fewer samples than ranks.
        self.allow_zero_length_dataloader_with_multiple_devices = True
        self.batch_size = batch_size
        self.num_workers = num_workers
        # Rows of like length share a batch: less padding.
        self.todo = sorted(todo, key=lambda s: (len(s.prompt.images), sum(len(t.text) for t in s.prompt.turns), s.id))

    def predict_dataloader(self) -> DataLoader[Item]:
        """This rank's share."""
        assert self.trainer is not None
        module: Any = self.trainer.lightning_module
        share = self.todo[self.trainer.global_rank :: self.trainer.world_size]
        workers = self.num_workers if len(share) > self.batch_size else 0
        if workers:
            shield_workers()
        return DataLoader(
            PromptDataset(share, module.predictor.processor),
            batch_size=self.batch_size,
            num_workers=workers,
            collate_fn=list,
            multiprocessing_context=START_METHOD if workers else None,
            worker_init_fn=end_with_parent,
        )
