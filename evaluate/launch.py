"""The predict loop on one or many devices, through Lightning."""

from __future__ import annotations

import logging
import sys
import warnings

import lightning as L
import torch
from lightning.pytorch.callbacks import TQDMProgressBar
from lightning.pytorch.strategies import DDPStrategy

from evaluate.data import BenchmarkDataModule
from evaluate.module import PredictModule
from evaluate.run import Run


def predict_with_lightning(run: Run, *, devices: int | str, batch_size: int, num_workers: int) -> None:
    """Answer what is left of a run.

    Lightning starts the other processes itself by running the same command again.
    """
    for name in ("lightning.pytorch.utilities.rank_zero", "lightning.fabric.utilities.distributed"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # Slurm may be there without being wanted.
    warnings.filterwarnings("ignore", ".*`srun` command is available on your system.*")
    on_gpu = torch.cuda.is_available()
    count = int(devices) if devices != "auto" else (torch.cuda.device_count() if on_gpu else 1)
    todo = run.todo()
    trainer = L.Trainer(
        accelerator="gpu" if on_gpu else "cpu",
        devices=count,
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
        done = len(run.samples) - len(todo)
        print(
            f"{run.name}: {len(todo)} samples to answer on {count} {'GPU' if on_gpu else 'CPU'} "
            f"process{'es' if count > 1 else ''}" + (f", {done} are done" if done else ""),
            flush=True,
        )
    module = PredictModule(run.spec, run.generation, run.folder)
    data = BenchmarkDataModule(todo, batch_size, num_workers)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*does not have many workers.*")
        warnings.filterwarnings("ignore", ".*LeafSpec.*is deprecated.*")
        warnings.filterwarnings("ignore", ".*You have overridden `transfer_batch_to_device`.*")
        warnings.filterwarnings("ignore", ".*predict returned None.*")
        trainer.predict(module, datamodule=data, return_predictions=False)
    trainer.strategy.barrier("predicted")
