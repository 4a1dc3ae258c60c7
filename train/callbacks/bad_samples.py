"""Lists the bad samples that a run meets, counts them where progress is shown, and stops where they are too many."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import lightning as L
import torch

from internvl.errors import InputError
from train.bad_samples import BadSample, BadSampleLog, check_share


class BadSamplesCallback(L.Callback):
    """Goes by the counts of every step, which all ranks have; only a step with news costs a collective of its own.

    Args:
        folder: the run folder.
        num_samples: of an epoch.
        max_share: of bad samples.
    """

    def __init__(self, folder: Path, num_samples: int, max_share: float) -> None:
        self.folder = folder
        self.num_samples = num_samples
        self.max_share = max_share
        self.seen = self.bad = self.cut = 0
        self.found: list[str] = []

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self.found += batch["found"]
        if (batch_idx + 1) % trainer.accumulate_grad_batches:
            return
        module: Any = pl_module
        self.seen += int(module.counts.samples)
        self.bad += int(module.counts.bad)
        self.cut += int(module.counts.cut)
        if module.counts.found:
            lines = self._gather(trainer)
            if trainer.is_global_zero:
                BadSampleLog(self.folder).add(BadSample(**json.loads(line)) for line in lines)
        pl_module.log_dict({"data/bad_samples": float(self.bad), "data/cut_samples": float(self.cut)})
        pl_module.log("bad", float(self.bad), prog_bar=True, logger=False)
        if module.counts.bad:
            self._check(trainer)

    def state_dict(self) -> dict[str, Any]:
        return {"seen": self.seen, "bad": self.bad, "cut": self.cut}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.seen, self.bad, self.cut = (state_dict[name] for name in ("seen", "bad", "cut"))

    def _gather(self, trainer: L.Trainer) -> list[str]:
        """The lines of all ranks."""
        mine, self.found = self.found, []
        if trainer.world_size == 1:
            return mine
        parts: list[list[str]] = [[] for _ in range(trainer.world_size)]
        torch.distributed.all_gather_object(parts, mine)
        return [line for part in parts for line in part]

    def _check(self, trainer: L.Trainer) -> None:
        try:
            check_share(self.bad, self.seen, self.num_samples, self.max_share, BadSampleLog(self.folder).path)
        except InputError:
            if trainer.is_global_zero:
                raise
            raise SystemExit(2) from None  # rank 0 has the last word
