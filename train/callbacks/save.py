"""Writes training checkpoints: every so many steps, and at the end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning as L

from train.state import find_states, remove_state


class SaveCallback(L.Callback):
    """Keeps the last checkpoints; an old one goes when the new one is whole.

    Args:
        folder: for the checkpoints.
        every: so many steps.
        limit: as many are kept.
    """

    def __init__(self, folder: Path, every: int, limit: int) -> None:
        self.folder = folder
        self.every = every
        self.limit = limit
        self.saved_step = -1

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        stepped = (batch_idx + 1) % trainer.accumulate_grad_batches == 0
        if stepped and (trainer.global_step % self.every == 0 or trainer.global_step == trainer.max_steps):
            self.save(trainer)

    def save(self, trainer: L.Trainer) -> None:
        """Write a checkpoint of the finished step, if there is none yet; all processes do so together."""
        if trainer.global_step == self.saved_step:
            return
        self.saved_step = trainer.global_step
        trainer.save_checkpoint(self.folder / f"step-{trainer.global_step}")
        if trainer.is_global_zero:
            for _, old in find_states(self.folder)[: -self.limit]:
                remove_state(old)
        trainer.strategy.barrier("saved")
