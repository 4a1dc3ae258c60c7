"""Writes a `from_pretrained` folder when training ends."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import lightning as L

from train.state import find_states


class ExportCallback(L.Callback):
    """Exports the last checkpoint of a finished run.

    Args:
        checkpoints: folder of the checkpoints.
        export: writes the model of one of them.
    """

    def __init__(self, checkpoints: Path, export: Callable[[Path], Path]) -> None:
        self.checkpoints = checkpoints
        self.export = export

    # Not `on_train_end`: a run that was killed before its export goes on at its last step, where nothing is trained.
    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.is_global_zero and trainer.global_step >= trainer.max_steps:
            own = [path for _, path in find_states(self.checkpoints)]
            # Where a finished run was named to go on from, there is nothing to add to its checkpoint.
            last = own[-1] if own else Path(str(trainer.ckpt_path))
            print(f"exported: {self.export(last)}", flush=True)
        trainer.strategy.barrier("export")
