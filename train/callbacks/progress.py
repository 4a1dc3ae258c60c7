"""One plain line per logged step, for log files and terminals without a bar."""

from __future__ import annotations

import time
from typing import Any

import lightning as L

from train.callbacks.throughput import ThroughputCallback


class ProgressCallback(L.Callback):
    """Step, loss, learning rate, speed and the time that is left."""

    def __init__(self, throughput: ThroughputCallback, every: int) -> None:
        self.throughput = throughput
        self.every = every
        self.begin = 0.0
        self.first_step = 0

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.begin, self.first_step = time.perf_counter(), trainer.global_step

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        step, total = trainer.global_step, trainer.max_steps
        stepped = (batch_idx + 1) % trainer.accumulate_grad_batches == 0
        if not stepped or not trainer.is_global_zero or (step % self.every and step != total):
            return
        done = max(1, step - self.first_step)
        left = (time.perf_counter() - self.begin) / done * (total - step)
        rates = self.throughput.rates
        rate = trainer.optimizers[0].param_groups[0]["lr"]
        print(
            f"step {step}/{total}  loss {float(trainer.callback_metrics['train/loss']):.4f}  lr {rate:.2e}  "
            f"{rates.get('speed/samples_per_second', 0):.0f} samples/s  "
            f"{rates.get('speed/tokens_per_second', 0):.0f} tokens/s  "
            f"{trainer.callback_metrics.get('bad', 0):.0f} bad  {left:.0f} s left",
            flush=True,
        )
