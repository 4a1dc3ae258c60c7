"""How fast a run is: samples, tokens and tiles per second over all ranks."""

from __future__ import annotations

import time
from typing import Any

import lightning as L


class ThroughputCallback(L.Callback):
    """Counts real tokens and real tiles only; padding and blank tiles are no work done."""

    def __init__(self, every: int) -> None:
        self.every = every
        self.samples = self.tokens = self.tiles = 0
        self.begin = 0.0
        self.rates: dict[str, float] = {}

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.begin = time.perf_counter()

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if "error" not in batch:
            self.samples += len(batch["input_ids"])
            self.tokens += int(batch["attention_mask"].sum())
            self.tiles += int(batch["image_flags"].sum())

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        stepped = (batch_idx + 1) % trainer.accumulate_grad_batches == 0
        if not stepped or trainer.global_step % self.every:
            return
        seconds = time.perf_counter() - self.begin
        # Every rank has the same number of samples; tokens and tiles differ little, and a sum would cost a collective.
        world = trainer.world_size
        self.rates = {
            "speed/samples_per_second": self.samples * world / seconds,
            "speed/tokens_per_second": self.tokens * world / seconds,
            "speed/tiles_per_second": self.tiles * world / seconds,
        }
        for logger in trainer.loggers:
            # Lightning numbers the steps of the loss from zero; the curves are to lie above each other.
            logger.log_metrics(self.rates, step=trainer.global_step - 1)
        self.samples = self.tokens = self.tiles = 0
        self.begin = time.perf_counter()
