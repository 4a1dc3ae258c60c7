"""Runs benchmarks on the model every so many steps, and at the end, in a process of their own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning as L
import torch

from internvl.errors import InputError
from train.callbacks.charts import ChartsCallback
from train.callbacks.save import SaveCallback
from train.state import find_states

_ROOT = Path(__file__).resolve().parents[2]
# Who started the training would be taken for who starts the evaluation.
_OF_THE_LAUNCHER = ("SLURM_", "TORCHELASTIC_", "MASTER_", "LOCAL_", "PL_", "WORLD_SIZE", "RANK", "NODE_RANK", "GROUP_")


class BenchmarkCallback(L.Callback):
    """Saves, exports, and evaluates as `evaluate.sh` does; the scores are curves. A benchmark that fails ends no run.

    Args:
        names: as for evaluate.sh.
        every: so many steps.
        folder: of the run.
        saver: writes the checkpoint that is exported.
        export: writes the model of a checkpoint to a folder.
        charts: whose speeds leave this time out.
    """

    def __init__(
        self,
        names: str,
        every: int,
        folder: Path,
        saver: SaveCallback,
        export: Callable[[Path, Path], Path],
        charts: ChartsCallback,
    ) -> None:
        self.names = names
        self.every = every
        self.folder = folder / "benchmarks"
        self.saver = saver
        self.export = export
        self.charts = charts

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        step = trainer.global_step
        if (batch_idx + 1) % trainer.accumulate_grad_batches or (step % self.every and step != trainer.max_steps):
            return
        begin = time.perf_counter()
        self.saver.save(trainer)
        if trainer.is_global_zero:
            points = self.measure(step)
            for logger in trainer.loggers:
                logger.log_metrics(points, step=step - 1)
            for name, value in points.items():
                print(f"{name}: {value:.4f} after step {step}", flush=True)
        trainer.strategy.barrier("benchmark")
        self.charts.begin += time.perf_counter() - begin

    def measure(self, step: int) -> dict[str, float]:
        """The scores of the model after a step."""
        target = self.folder / f"step-{step}"
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        model = self.export(find_states(self.saver.folder)[-1][1], target / "model")
        devices = "1" if not torch.cuda.is_available() else str(torch.cuda.device_count())
        command = [sys.executable, "-m", "evaluate", str(model), self.names, "--output", str(target / "results")]
        environment = {name: value for name, value in os.environ.items() if not name.startswith(_OF_THE_LAUNCHER)}
        with (target / "log.txt").open("w") as log:
            done = subprocess.run(
                [*command, "--devices", devices], cwd=_ROOT, env=environment, stdout=log, stderr=log, check=False
            )
        shutil.rmtree(model)  # the checkpoint has it
        if done.returncode:
            print(f"benchmark: no score after step {step}, exit code {done.returncode}; see {log.name}", flush=True)
        return read_scores(target / "results")


def read_scores(folder: Path) -> dict[str, float]:
    """The headline number of every finished benchmark below a folder."""
    reports = (json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.rglob("report.json")))
    return {
        f"benchmark/{report['benchmark']}": float(report["metrics"][report["primary"]])
        for report in reports
        if report["metrics"].get(report["primary"]) is not None
    }


def check_names(names: str) -> None:
    """Every name is one of a benchmark.

    Raises:
        InputError: one is not.
    """
    done = subprocess.run(
        [sys.executable, "-m", "evaluate", "--list"], cwd=_ROOT, capture_output=True, text=True, check=True
    )
    known = {word for line in done.stdout.splitlines()[1:] for word in (line.split()[0], line.split()[-1])}
    for name in names.split(","):
        if name not in known | {"all"}:
            raise InputError(f"eval.benchmarks: expected names of evaluate.sh --list, got {name}; choose another")
