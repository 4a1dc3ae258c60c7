"""How many passes over the data a run has made, as a curve."""

from __future__ import annotations

from typing import Any

import lightning as L


class EpochCallback(L.Callback):
    """Logs `epoch`; Lightning's own count would stay 0, because its epoch is the whole run here."""

    def __init__(self, epochs_per_step: float) -> None:
        self.epochs_per_step = epochs_per_step

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        pl_module.log("epoch", trainer.global_step * self.epochs_per_step)
