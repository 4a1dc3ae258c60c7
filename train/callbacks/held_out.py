"""Measures the loss of held-out rows every so many steps, and at the end."""

from __future__ import annotations

import time
from typing import Any

import lightning as L
import torch

from train.callbacks.charts import ChartsCallback
from train.dataset import NOT_INPUTS
from train.held_out import HeldOut
from train.meters import SourceLosses


class HeldOutCallback(L.Callback):
    """Logs `held_out/loss`, the mean over all learned tokens, and the same per data set.

    Args:
        held_out: the rows.
        every: so many steps.
        charts: whose speeds leave this time out.
    """

    def __init__(self, held_out: HeldOut, every: int, charts: ChartsCallback) -> None:
        self.held_out = held_out
        self.every = every
        self.charts = charts

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        step = trainer.global_step
        if (batch_idx + 1) % trainer.accumulate_grad_batches or (step % self.every and step != trainer.max_steps):
            return
        begin = time.perf_counter()
        points = self.measure(trainer, pl_module)
        for logger in trainer.loggers:
            logger.log_metrics(points, step=step - 1)
        if trainer.is_global_zero:
            print(f"held out: loss {points['held_out/loss']:.4f} after step {step}", flush=True)
        self.charts.begin += time.perf_counter() - begin

    @torch.no_grad()
    def measure(self, trainer: L.Trainer, pl_module: L.LightningModule) -> dict[str, float]:
        """The losses over all ranks."""
        module: Any = pl_module
        losses = SourceLosses(len(self.held_out.names), pl_module.device)
        loader, counted = self.held_out.load(trainer.global_rank, trainer.world_size)
        pl_module.eval()
        for number, batch in enumerate(loader):
            moved = trainer.strategy.batch_to_device(batch)
            inputs = {name: value for name, value in moved.items() if name not in NOT_INPUTS and name != "loss_weight"}
            with trainer.precision_plugin.val_step_context():
                output = module.model(**inputs, all_logits=False, with_token_losses=True)
            if number < counted:
                losses.add(output.token_losses, moved["sources"][output.token_samples])
        pl_module.train()
        sums = trainer.strategy.reduce(losses.take(), reduce_op="sum").cpu()
        return name_points(sums, self.held_out.names)


def name_points(sums: torch.Tensor, names: list[str]) -> dict[str, float]:
    """Means from the sums of losses and their numbers, for all rows and for every data set that has some."""
    total, number = sums.view(2, -1)
    points = {"held_out/loss": float(total.sum() / number.sum())}
    if len(names) > 1:
        points |= {f"held_out/{name}": float(total[k] / number[k]) for k, name in enumerate(names) if number[k]}
    return points
