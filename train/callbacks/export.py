"""Writes a `from_pretrained` folder when training ends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning as L

from internvl.model.checkpoint import save_checkpoint


class ExportCallback(L.Callback):
    """Exports the trained model to a folder that `evaluate.sh` and `AutoModel` read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    # Not `on_train_end`: a run that was killed before its export goes on at its last step, where nothing is trained.
    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.is_global_zero:
            module: Any = pl_module
            datamodule: Any = trainer.datamodule  # type: ignore[attr-defined]
            save_checkpoint(self.folder, module.model, datamodule.processor)
        trainer.strategy.barrier("export")
