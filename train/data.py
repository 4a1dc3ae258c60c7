"""SFTDataModule: rows of the mixture through the processor to padded batches."""

from __future__ import annotations

from typing import Any

import lightning as L
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from internvl.collate import Weighting, collate, weigh
from internvl.errors import InputError
from internvl.processor import InternVLProcessor, Row
from train.config import DataConfig
from train.mixture import Mixture, read_meta
from train.order import RunOrder


class SFTDataset(Dataset[Row | str]):
    """Rows as tensors, or the message of what is wrong with a row: a worker must not die of it."""

    def __init__(self, mixture: Mixture, processor: InternVLProcessor) -> None:
        self.mixture = mixture
        self.processor = processor

    def __len__(self) -> int:
        return len(self.mixture)

    def __getitem__(self, index: int) -> Row | str:
        """The row, or an error message that names file, line and rule."""
        try:
            source, chat = self.mixture[index]
            return self.processor(chat, training=True, max_tiles=source.max_tiles)
        except InputError as error:
            return str(error)


class TrainingCollator:
    """Rows to a batch; a message among them becomes the batch, and the module stops the run with it."""

    def __init__(self, pad_id: int, blank: Tensor, weighting: Weighting = "token") -> None:
        self.pad_id = pad_id
        self.blank = blank
        self.weighting = weighting

    def __call__(self, rows: list[Row | str]) -> dict[str, Any]:
        """Pad on the right; a batch without pictures gets the blank tile."""
        for row in rows:
            if isinstance(row, str):
                return {"error": row}
        good = [row for row in rows if not isinstance(row, str)]
        if self.weighting != "token":
            good = [weigh(row, self.weighting) for row in good]
        return collate(good, pad_id=self.pad_id, blank=self.blank)


class SFTDataModule(L.LightningDataModule):
    """The training data of a run.

    Args:
        data: what to train on.
        batch_size: samples per optimiser step, over all devices.
        per_device_batch_size: samples per device and forward.
        num_train_epochs: passes over the data, unless `max_steps` is given.
        max_steps: optimiser steps of the run.
        seed: of the order of samples.
    """

    def __init__(
        self,
        data: DataConfig,
        batch_size: int,
        per_device_batch_size: int,
        num_train_epochs: float = 1.0,
        max_steps: int | None = None,
        seed: int = 42,
    ) -> None:
        super().__init__()
        self.options = data
        self.batch_size = batch_size
        self.per_device_batch_size = per_device_batch_size
        self.seed = seed
        self.mixture = Mixture(read_meta(data.meta_path))
        self.num_steps = max_steps or max(1, -int(-len(self.mixture) * num_train_epochs // batch_size))
        self.steps_done = 0
        self.processor: InternVLProcessor | None = None

    def setup(self, stage: str) -> None:
        """Take the processor of the module's checkpoint."""
        module: Any = self.trainer.lightning_module  # type: ignore[union-attr]
        self.processor = InternVLProcessor.from_pretrained(
            module.pretrained,
            template=module.template,
            max_length=self.options.max_seq_length,
            **self.options.tiling,
        )

    def train_dataloader(self) -> DataLoader[Row | str]:
        """The rest of the run, from the step that the checkpoint stands at."""
        assert self.processor is not None
        assert self.trainer is not None
        order = RunOrder(
            len(self.mixture),
            self.num_steps,
            self.batch_size,
            self.per_device_batch_size,
            rank=self.trainer.global_rank,
            world=self.trainer.world_size,
            seed=self.seed,
            start=self.steps_done,
        )
        workers = self.options.num_workers
        return DataLoader(
            SFTDataset(self.mixture, self.processor),
            batch_sampler=order,
            num_workers=workers,
            collate_fn=TrainingCollator(
                self.processor.pad_id, self.processor.tiler.blank(), self.options.loss_reduction
            ),
            pin_memory=torch.cuda.is_available(),
            persistent_workers=workers > 0,
            # A plain fork copies the locks of threads that are not copied (gloo's, the weight loader's) and may hang.
            multiprocessing_context="forkserver" if workers else None,
            prefetch_factor=4 if workers else None,
        )

    def state_dict(self) -> dict[str, Any]:
        """Where the data stands, in optimiser steps: the same on any number of devices."""
        assert self.trainer is not None
        return {"steps_done": self.trainer.global_step, **self._identity()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on behind the last finished step."""
        for name, now in self._identity().items():
            if state_dict[name] != now:
                raise InputError(
                    f"resume: expected the data of the checkpoint ({name} {state_dict[name]}), got {now}; "
                    "restore it or start anew with --overwrite true"
                )
        self.steps_done = state_dict["steps_done"]

    def _identity(self) -> dict[str, int]:
        """What decides which samples a step takes."""
        return {"num_samples": len(self.mixture), "batch_size": self.batch_size, "seed": self.seed}
