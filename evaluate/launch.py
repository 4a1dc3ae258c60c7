"""The predict loop of one process, through Lightning."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Sequence

import lightning as L
import torch
from lightning.pytorch.plugins.environments import LightningEnvironment
from lightning.pytorch.strategies import SingleDeviceStrategy

from evaluate.data import BenchmarkDataModule
from evaluate.module import PredictModule
from evaluate.processes import Place
from evaluate.progress import AnswerProgress
from evaluate.run import Run
from evaluate.sample import Sample
from internvl.errors import InputError


class ShareStrategy(SingleDeviceStrategy):
    """One of several processes: it knows its number, and never waits for the others.

    Shares are of unequal length in time. A collective would make all wait for the slowest, and hang on a dead one.
    """

    def __init__(self, device: torch.device, place: Place) -> None:
        super().__init__(device)
        self.global_rank = place.rank
        self.local_rank = place.local_rank
        self.world_size = place.count

    @property
    def is_global_zero(self) -> bool:
        """Whether this is the first process."""
        return self.global_rank == 0


def count_devices(devices: str) -> int:
    """How many processes shall answer.

    Raises:
        InputError: more than there are GPUs.
    """
    num_gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    count = int(devices) if devices != "auto" else max(1, num_gpus)
    if num_gpus and count > num_gpus:
        raise InputError(f"--devices: expected at most {num_gpus}, the GPUs that are there, got {count}; lower it")
    return count


def predict_with_lightning(
    run: Run,
    todo: Sequence[Sample],
    place: Place,
    *,
    batch_size: int,
    num_workers: int,
    progress: AnswerProgress | None = None,
) -> None:
    """Answer this process's share of what is left of a run.

    Args:
        run: what is asked.
        todo: what is left, the same in all processes.
        place: of this process.
        batch_size: prompts per forward.
        num_workers: processes that prepare prompts.
        progress: shown by the first process.
    """
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    # Slurm may be there without being wanted.
    warnings.filterwarnings("ignore", ".*`srun` command is available on your system.*")
    on_gpu = torch.cuda.is_available()
    index = place.local_rank % max(1, torch.cuda.device_count()) if on_gpu else 0
    if place.starter == "self" and place.count > 1 and "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // place.count))
    trainer = L.Trainer(
        accelerator="gpu" if on_gpu else "cpu",
        devices=[index] if on_gpu else 1,
        strategy=ShareStrategy(torch.device("cuda", index) if on_gpu else torch.device("cpu"), place),
        # Slurm and torchrun have started the processes; there is nothing that Lightning should ask them.
        plugins=[LightningEnvironment()],
        logger=False,
        use_distributed_sampler=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=False,
        callbacks=[progress] if progress is not None else [],
        default_root_dir=run.folder,
    )
    if place.is_first:
        done = len(run.samples) - len(todo)
        print(
            f"{run.name}: {len(todo)} samples to answer on {place.count} {'GPU' if on_gpu else 'CPU'} "
            f"process{'es' if place.count > 1 else ''}" + (f", {done} are done" if done else ""),
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
