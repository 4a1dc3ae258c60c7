"""The curves of a run beside loss and gradient: speed, use of the device, data, memory, and the loss per data set."""

from __future__ import annotations

import re
import time
import warnings
from collections.abc import Sequence
from typing import Any

import lightning as L
import torch
from lightning.fabric.utilities.throughput import get_available_flops

from train.cost import count_flops
from train.counts import Counts
from train.meters import (
    Interval,
    SourceLosses,
    join_ranks,
    make_data_points,
    make_flops,
    make_loss_points,
    make_rates,
    measure_memory,
    split_ranks,
)
from train.packing import CostModel

# Lightning's table lacks these or has them with the factor 2 of sparse matrices.
_DENSE_BF16 = {"H200": 989.4, "GH200": 989.4, "H800": 989.4, "A800": 312.0, "B200": 2250.0}


class ChartsCallback(L.Callback):
    """Logs a point every so many steps, for which the ranks exchange one short message.

    Args:
        every: how many steps; the last step of a run has a point, too.
        sources: names of the data sets.
        cost: training FLOPs of the model.
        max_packed_tokens: budget of a pack; None where samples are padded.
        peak_tflops: of one device; None for the known one of a known device.

    Attributes:
        points: the last ones.
    """

    def __init__(
        self,
        every: int,
        sources: Sequence[str],
        cost: CostModel,
        max_packed_tokens: int | None = None,
        peak_tflops: float | None = None,
    ) -> None:
        self.every = every
        self.sources = sources
        self.cost = cost
        self.max_packed_tokens = max_packed_tokens
        self.peak_tflops = peak_tflops
        self.points: dict[str, float] = {}
        self.counts: list[torch.Tensor] = []
        self.begin = self.paused = self.waited = 0.0

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        module: Any = pl_module
        module.source_losses = SourceLosses(len(self.sources), pl_module.device)
        if self.peak_tflops is None:
            self.peak_tflops = find_peak(pl_module.device, str(trainer.precision))
            if self.peak_tflops is None and trainer.is_global_zero:
                print(
                    f"speed: no curve speed/mfu, the peak of this device ({pl_module.device.type}) is not known; "
                    "--peak_tflops gives it",
                    flush=True,
                )
        self.begin = time.perf_counter()

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if (batch_idx + 1) % trainer.accumulate_grad_batches:
            return
        module: Any = pl_module
        self.counts.append(module.counts.to_tensor())
        step = trainer.global_step
        if step % self.every and step != trainer.max_steps:
            return
        memory, peak = measure_memory(pl_module.device)
        interval = self._read(trainer, module.source_losses.take(), peak)
        self.points = self._make_points(interval, trainer.world_size)
        self.points[memory] = max(interval.peaks) / 1e9
        for logger in trainer.loggers:
            # Lightning numbers the steps of the loss from zero; the curves are to lie above each other.
            logger.log_metrics(self.points, step=step - 1)
        shown = {"tokens/s": "speed/tokens_per_second", "mfu": "speed/mfu", "wait": "data/wait_share"}
        for label, name in shown.items():
            if name in self.points:
                pl_module.log(label, self.points[name], prog_bar=True, logger=False)

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.paused = time.perf_counter()

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.begin += time.perf_counter() - self.paused  # which is no time of training

    def _read(self, trainer: L.Trainer, losses: torch.Tensor, peak: float) -> Interval:
        """The interval that ends now, from all ranks; the next one begins."""
        waited = float(getattr(trainer.train_dataloader, "waited", 0.0))
        mine = join_ranks(losses, waited - self.waited, peak, trainer.global_rank, trainer.world_size)
        # It waits for all ranks, so the time is that of the slowest.
        parts = split_ranks(trainer.strategy.reduce(mine, reduce_op="sum"), trainer.world_size)
        now, counts = time.perf_counter(), Counts.from_tensor(Counts.add(self.counts))
        packs = 0 if self.max_packed_tokens is None else self._count_passes(trainer)
        interval = Interval(counts, now - self.begin, packs, *parts)
        self.begin, self.waited, self.counts = now, waited, []
        return interval

    def _count_passes(self, trainer: L.Trainer) -> int:
        return len(self.counts) * trainer.accumulate_grad_batches * trainer.world_size

    def _make_points(self, interval: Interval, world: int) -> dict[str, float]:
        return {
            **make_rates(interval),
            **make_flops(interval, count_flops(self.cost, interval.counts), world, self.peak_tflops),
            **make_data_points(interval, self.max_packed_tokens),
            **make_loss_points(interval, self.sources),
        }


def find_peak(device: torch.device, precision: str) -> float | None:
    """TFLOP/s of a device by its data sheet, in the precision of the products of matrices; None if it is not known."""
    if device.type != "cuda":
        return None
    is_half = precision.startswith("bf16")
    words = re.split(r"[\s-]+", torch.cuda.get_device_name(device).upper())
    if is_half and "NVL" not in words:
        for word in words:
            if word in _DENSE_BF16:
                return _DENSE_BF16[word]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # where it does not know the device
        flops = get_available_flops(device, torch.bfloat16 if is_half else torch.float32)
    return None if flops is None else flops / 1e12
