"""The predict loop on one or many devices, through Lightning."""

from __future__ import annotations

import logging
import os
import sys
import warnings

import lightning as L
import torch
from lightning.pytorch.callbacks import TQDMProgressBar
from lightning.pytorch.strategies import DDPStrategy

from evaluate.data import BenchmarkDataModule
from evaluate.module import PredictModule
from evaluate.placement import Placement, measure_free, place
from evaluate.predictor import find_scale
from evaluate.run import Run
from internvl.errors import InputError

_EACH = "EVALUATE_GPUS_PER_MODEL"
"""Tells the processes that Lightning starts, and the next benchmark, what was chosen while all memory was free."""


def predict_with_lightning(
    run: Run, *, devices: int | str, gpus_per_model: int | str = "auto", batch_size: int, num_workers: int
) -> None:
    """Answer what is left of a run.

    Lightning starts the other processes itself by running the same command again.
    """
    for name in ("lightning.pytorch.utilities.rank_zero", "lightning.fabric.utilities.distributed"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # Slurm may be there without being wanted.
    warnings.filterwarnings("ignore", ".*`srun` command is available on your system.*")
    on_gpu = torch.cuda.is_available()
    placement = _place(run.spec, devices, gpus_per_model, on_gpu)
    count = placement.processes
    todo = run.todo()
    trainer = L.Trainer(
        accelerator="gpu" if on_gpu else "cpu",
        devices=placement.first if on_gpu else count,
        strategy=DDPStrategy(process_group_backend="nccl" if on_gpu else "gloo") if count > 1 else "auto",
        logger=False,
        use_distributed_sampler=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=sys.stderr.isatty(),
        callbacks=[TQDMProgressBar(leave=True)] if sys.stderr.isatty() else [],
        default_root_dir=run.folder,
    )
    if trainer.is_global_zero:
        if placement.each > 1:
            print(placement.line(), flush=True)
        done = len(run.samples) - len(todo)
        print(
            f"{run.name}: {len(todo)} samples to answer on {count} {'GPU' if on_gpu else 'CPU'} "
            f"process{'es' if count > 1 else ''}" + (f", {done} are done" if done else ""),
            flush=True,
        )
    module = PredictModule(run.spec, run.generation, run.folder, placement.each)
    data = BenchmarkDataModule(todo, batch_size, num_workers)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*does not have many workers.*")
        warnings.filterwarnings("ignore", ".*LeafSpec.*is deprecated.*")
        warnings.filterwarnings("ignore", ".*You have overridden `transfer_batch_to_device`.*")
        warnings.filterwarnings("ignore", ".*predict returned None.*")
        trainer.predict(module, datamodule=data, return_predictions=False)
    trainer.strategy.barrier("predicted")


def _place(spec: str, devices: int | str, gpus_per_model: int | str, on_gpu: bool) -> Placement:
    """Processes and their devices; chosen once for all processes and benchmarks of a command."""
    present = torch.cuda.device_count() if on_gpu else 1
    count = present if devices == "auto" else int(devices)
    if on_gpu and count > present:
        raise InputError(f"--devices: expected at most the {present} GPUs that are visible, got {count}; lower it")
    asked = os.environ.get(_EACH, str(gpus_per_model))
    placement = place(count, asked, find_scale(spec), on_gpu=on_gpu, measure=measure_free)
    if on_gpu:
        os.environ[_EACH] = str(placement.each)
    return placement
