"""The predict loop of one process, through Lightning."""

from __future__ import annotations

import logging
import os
import time
import warnings
from collections.abc import Sequence

import lightning as L
import torch
from lightning.pytorch.plugins.environments import LightningEnvironment
from lightning.pytorch.strategies import SingleDeviceStrategy

from evaluate.budget import PROCESSES
from evaluate.data import BenchmarkDataModule
from evaluate.module import PredictModule
from evaluate.placement import Placement, list_owned, measure_free, place_model
from evaluate.predictor import Predictor, find_scale, load_predictor
from evaluate.processes import Place
from evaluate.progress import AnswerProgress
from evaluate.run import Run
from evaluate.sample import Sample
from internvl.errors import InputError
from internvl.progress import tell_time

_EACH = "EVALUATE_GPUS_PER_MODEL"
"""Tells the other processes what the first one chose while all memory was free."""
_MOST_WORKERS = 8


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


def choose_placement(spec: str, place: Place, devices: str, gpus_per_model: str) -> Placement:
    """Processes and their devices; chosen once for all processes and benchmarks of a command.

    Raises:
        InputError: there are too few GPUs.
    """
    on_gpu = torch.cuda.is_available()
    present = torch.cuda.device_count() if on_gpu else 1
    if place.starter != "self":
        # Whoever started the processes has shared the GPUs out, and only knows what it was told.
        asked = "1" if gpus_per_model == "auto" else gpus_per_model
        return place_model(max(present, int(asked)), asked, find_scale(spec), on_gpu=on_gpu, measure=measure_free)
    count = present if devices == "auto" else int(devices)
    if on_gpu and count > present:
        raise InputError(f"--devices: expected at most {present}, the GPUs that are there, got {count}; lower it")
    asked = os.environ.get(_EACH, gpus_per_model)
    placement = place_model(count, asked, find_scale(spec), on_gpu=on_gpu, measure=measure_free)
    os.environ[_EACH] = str(placement.each)
    return placement


class Answerer:
    """Answers the shares of one process, with a model that is loaded once for all benchmarks.

    Args:
        place: of this process.
        each: GPUs of this process.
        batch_size: most prompts per forward.
        num_workers: processes that prepare prompts; None for as many as the machine has to spare.
    """

    def __init__(self, place: Place, each: int, *, batch_size: int, num_workers: int | None) -> None:
        self.place = place
        self.batch_size = batch_size
        self.num_workers = choose_workers(place) if num_workers is None else num_workers
        if torch.cuda.is_available():
            index = place.local_rank * each % torch.cuda.device_count()
            self.devices = list_owned(torch.device("cuda", index), each)
        else:
            self.devices = (torch.device("cpu"),)
        self.predictor: Predictor | None = None
        os.environ[PROCESSES] = str(place.count)
        if place.starter == "self" and place.count > 1 and "OMP_NUM_THREADS" not in os.environ:
            torch.set_num_threads(max(1, (os.cpu_count() or 1) // place.count))

    def answer(self, run: Run, todo: Sequence[Sample], progress: AnswerProgress | None = None) -> None:
        """Answer this process's share of what is left of a run.

        Args:
            run: what is asked.
            todo: what is left, the same in all processes.
            progress: shown by the first process.
        """
        logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
        # Slurm may be there without being wanted.
        warnings.filterwarnings("ignore", ".*`srun` command is available on your system.*")
        device = self.devices[0]
        trainer = L.Trainer(
            accelerator="gpu" if device.type == "cuda" else "cpu",
            devices=[device.index] if device.type == "cuda" else 1,
            strategy=ShareStrategy(device, self.place),
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
        if self.place.is_first:
            kind, plural = device.type.upper().replace("CUDA", "GPU"), "es" if self.place.count > 1 else ""
            done = len(run.samples) - len(todo)
            print(
                f"{run.name}: {len(todo)} samples to answer on {self.place.count} {kind} process{plural}"
                + (f", {done} are done" if done else ""),
                flush=True,
            )
        module = PredictModule(lambda: self._load(run), run.generation, run.folder)
        data = BenchmarkDataModule(todo, self.batch_size, self.num_workers, run.limits)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*does not have many workers.*")
            warnings.filterwarnings("ignore", ".*LeafSpec.*is deprecated.*")
            warnings.filterwarnings("ignore", ".*You have overridden `transfer_batch_to_device`.*")
            warnings.filterwarnings("ignore", ".*predict returned None.*")
            trainer.predict(module, datamodule=data, return_predictions=False)

    def _load(self, run: Run) -> Predictor:
        """All runs of a command are of the same model."""
        if self.predictor is None:
            begin = time.monotonic()
            if self.place.is_first:
                print(f"loading {run.info.name}", flush=True)
            self.predictor = load_predictor(run.spec, *self.devices)
            if self.place.is_first:
                print(f"loaded in {tell_time(time.monotonic() - begin)}", flush=True)
        precision = getattr(self.predictor, "precision", None)
        if precision is not None and self.place.is_first:
            run.settle("precision", precision)
        return self.predictor


def choose_workers(place: Place) -> int:
    """As many as keep a GPU busy, and no more than the machine has cores for."""
    if not torch.cuda.is_available():
        return 1
    local = max(1, min(place.count, torch.cuda.device_count()))
    return max(1, min(_MOST_WORKERS, (os.cpu_count() or 1) // local - 1))
