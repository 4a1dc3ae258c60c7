"""How fast a run is: samples, tokens and tiles per second over all ranks."""

from __future__ import annotations

import time
from typing import Any, cast

import lightning as L

from train.counts import Counts


class ThroughputCallback(L.Callback):
    """Counts real tokens and real tiles only; padding and blank tiles are no work done."""

    def __init__(self, every: int) -> None:
        self.every = every
        self.samples = self.tokens = self.tiles = 0.0
        self.begin = 0.0
        self.rates: dict[str, float] = {}

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.begin = time.perf_counter()

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        stepped = (batch_idx + 1) % trainer.accumulate_grad_batches == 0
        if not stepped:
            return
        counts: Counts = cast(Any, pl_module).counts
        self.samples += counts.samples
        self.tokens += counts.tokens
        self.tiles += counts.tiles
        if trainer.global_step % self.every:
            return
        seconds = time.perf_counter() - self.begin
        self.rates = {
            "speed/samples_per_second": self.samples / seconds,
            "speed/tokens_per_second": self.tokens / seconds,
            "speed/tiles_per_second": self.tiles / seconds,
        }
        for logger in trainer.loggers:
            # Lightning numbers the steps of the loss from zero; the curves are to lie above each other.
            logger.log_metrics(self.rates, step=trainer.global_step - 1)
        self.samples = self.tokens = self.tiles = 0.0
        self.begin = time.perf_counter()
