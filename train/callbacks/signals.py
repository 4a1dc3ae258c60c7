"""Saves and ends a run that is told to stop: by slurm before it takes the nodes away, or by its user."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from types import FrameType
from typing import Any

import lightning as L

from train.callbacks.save import SaveCallback

SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)
STOPPED = 75
"""The exit code of a run that was stopped and goes on with the same command."""


class SignalCallback(L.Callback):
    """Notes a signal; the step that all processes then finish is the last one.

    Args:
        saver: writes the checkpoint.
    """

    def __init__(self, saver: SaveCallback) -> None:
        self.saver = saver
        self.module: Any = None
        self.received = 0
        self.former: dict[int, Any] = {}

    # Not earlier: Lightning sets its own first, which talk to the other processes in the middle of a step.
    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.module = pl_module
        self.former = {number: signal.signal(number, self._note) for number in SIGNALS}

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if not self.module.stops_here or (batch_idx + 1) % trainer.accumulate_grad_batches:
            return
        self.saver.save(trainer)
        trainer.should_stop = True
        if trainer.is_global_zero and trainer.global_step < trainer.max_steps:
            print(f"stopped after step {trainer.global_step}: saved; the same command goes on from here", flush=True)
            requeue(self.received)
        # slurm ends the job when its first process leaves.
        trainer.strategy.barrier("stopped")

    def teardown(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        for number, handler in self.former.items():
            signal.signal(number, handler)

    def _note(self, number: int, _: FrameType | None) -> None:
        if self.module.is_told_to_stop and number == signal.SIGINT:
            raise KeyboardInterrupt  # asked twice: at once, from the last checkpoint
        self.received = number
        self.module.is_told_to_stop = True
        name = signal.Signals(number).name
        # Not `print`, which fails where the signal came in the middle of another one.
        os.write(2, f"{name}: the run is saved and stops after this step or the next one\n".encode())


def requeue(received: int) -> None:
    """Put a batch job of slurm back into its queue; it starts the same command again.

    Args:
        received: the signal that stopped it. SIGTERM comes at the time limit, but also when its user cancels the job.
    """
    job = os.environ.get("SLURM_JOB_ID")
    if job is None or "SLURM_STEP_ID" not in os.environ:
        return
    array, task = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    name = f"{array}_{task}" if array and task else job
    if received != signal.SIGUSR1 and "Reason=TimeLimit" not in _ask_slurm("show", "job", name).stdout:
        print(f"not requeued: job {name} was cancelled or is requeued by slurm", flush=True)
        return
    done = _ask_slurm("requeue", name)
    if done.returncode == 0:
        print(f"requeued: job {name}", flush=True)
    else:
        # A job of srun alone is not kept by slurm after its end.
        print(f"not requeued: job {name}: {done.stderr.strip() or done.returncode}", file=sys.stderr, flush=True)


def _ask_slurm(*words: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(["scontrol", *words], capture_output=True, text=True, check=False)
    except OSError as error:
        return subprocess.CompletedProcess(words, 1, "", f"scontrol: {error}")
