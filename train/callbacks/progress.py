"""One plain line per logged step, for log files and terminals without a bar."""

from __future__ import annotations

import time
from typing import Any

import lightning as L

from train.callbacks.charts import ChartsCallback


class ProgressCallback(L.Callback):
    """Step, loss, learning rate, speed, waiting for data, bad samples, and the time that is left."""

    def __init__(self, charts: ChartsCallback, every: int) -> None:
        self.charts = charts
        self.every = every
        self.begin = 0.0
        self.first_step = 0
        self.is_new = True

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.begin, self.first_step = time.perf_counter(), trainer.global_step

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        step, total = trainer.global_step, trainer.max_steps
        if (batch_idx + 1) % trainer.accumulate_grad_batches:
            return
        done, seconds = max(1, step - self.first_step), time.perf_counter() - self.begin
        if self.is_new:
            # The first step waits for the workers to start, so it says little of the others.
            self.begin, self.first_step, self.is_new = time.perf_counter(), step, False
        if not trainer.is_global_zero or (step % self.every and step != total):
            return
        left = seconds / done * (total - step)
        rate = trainer.optimizers[0].param_groups[0]["lr"]
        words = [
            f"step {step}/{total}",
            f"loss {float(trainer.callback_metrics['train/loss']):.4f}",
            f"lr {rate:.2e}",
            *describe_points(self.charts.points),
            f"{trainer.callback_metrics.get('bad', 0):.0f} bad",
            f"{describe_time(left)} left",
        ]
        print("  ".join(words), flush=True)


def describe_time(seconds: float) -> str:
    """Hours, minutes and seconds; a day is 24 hours."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


def describe_points(points: dict[str, float]) -> list[str]:
    """What a line says of the curves, without those that a run does not have."""
    shapes = {
        "speed/samples_per_second": "{:.0f} samples/s",
        "speed/tokens_per_second": "{:.0f} tokens/s",
        "speed/mfu": "{:.1%} MFU",
        "data/wait_share": "{:.0%} data wait",
    }
    return [shape.format(points[name]) for name, shape in shapes.items() if name in points]
