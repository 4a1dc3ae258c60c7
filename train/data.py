"""SFTDataModule: the batches of a run from its plan, from any step on."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from time import perf_counter
from typing import Any

import lightning as L
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from internvl.errors import InputError
from internvl.workers import START_METHOD, end_with_parent
from train.config import DataConfig
from train.counts import Counts
from train.dataset import SFTDataset, TrainingCollator
from train.plan import BatchSampler, Plan


class StepLoader:
    """The batches of a loader, each with the counts of its whole optimiser step on this rank.

    The loss of a batch is a part of the step's; what it is a part of must be known before the first backward pass.

    Args:
        loader: yields batches with `counts`.
        accumulation: batches per step.

    Attributes:
        waited: seconds that whoever asked for batches had to wait for them.
    """

    def __init__(self, loader: DataLoader[Any], accumulation: int) -> None:
        self.loader = loader
        self.accumulation = accumulation
        self.waited = 0.0

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        begin = perf_counter()
        batches = iter(self.loader)
        while True:
            step = list(islice(batches, self.accumulation))
            self.waited += perf_counter() - begin
            if not step:
                return
            counts = Counts.add([batch.pop("counts") for batch in step])
            yield from ({**batch, **_as_bits(batch, counts)} for batch in step)
            begin = perf_counter()


def _as_bits(batch: dict[str, Any], counts: Tensor) -> dict[str, Tensor]:
    """Weights and counts as whole numbers with the same bits, which `SFTModule.training_step` takes back.

    Lightning rounds every real number of a batch to the precision of the model, and these must stay what they are.
    """
    return {"loss_weight": batch["loss_weight"].view(torch.int32), "counts": counts.view(torch.int64)}


class SFTDataModule(L.LightningDataModule):
    """The training data of a run.

    Args:
        dataset: samples by position.
        plan: which of them lie together.
        options: of the loss and the workers.
        identity: what the sequence of samples depends on; a checkpoint goes on with nothing else.
    """

    def __init__(self, dataset: SFTDataset, plan: Plan, options: DataConfig, identity: dict[str, Any]) -> None:
        super().__init__()
        self.dataset = dataset
        self.plan = plan
        self.options = options
        self.identity = identity
        self.processor = dataset.processor
        self.steps_done = 0

    def train_dataloader(self) -> StepLoader:
        """The rest of the run, from the step that the checkpoint stands at."""
        assert self.trainer is not None
        order = BatchSampler(
            self.plan, rank=self.trainer.global_rank, world=self.trainer.world_size, start=self.steps_done
        )
        workers = self.options.num_workers
        loader = DataLoader(
            self.dataset,
            batch_sampler=order,
            num_workers=workers,
            collate_fn=TrainingCollator(
                self.processor.pad_id,
                self.processor.tiler.blank(),
                self.options.loss_reduction,
                packs=self.options.packing,
            ),
            pin_memory=torch.cuda.is_available(),
            persistent_workers=workers > 0,
            multiprocessing_context=START_METHOD if workers else None,
            worker_init_fn=end_with_parent,
            prefetch_factor=4 if workers else None,
        )
        return StepLoader(loader, order.accumulation)

    def state_dict(self) -> dict[str, Any]:
        """Where the data stands, in optimiser steps: the same on any number of devices."""
        assert self.trainer is not None
        return {"steps_done": self.trainer.global_step, **self.identity}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on behind the last finished step."""
        for name, now in self.identity.items():
            if state_dict.get(name) != now:
                raise InputError(
                    f"resume: expected the data of the checkpoint ({name} {state_dict.get(name)}), got {now}; "
                    "restore it or start anew with --overwrite true"
                )
        self.steps_done = state_dict["steps_done"]
