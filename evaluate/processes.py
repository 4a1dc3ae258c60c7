"""The processes of a command: which of them this one is, and how the first one starts and watches the others."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from internvl.errors import InputError

_LAUNCH = "EVALUATE_LAUNCH"
_RANKS = ("RANK", "WORLD_SIZE", "LOCAL_RANK")
_STOPPED = (128 + signal.SIGINT, 128 + signal.SIGTERM)
_TERMINATION_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Place:
    """Which process this is.

    Attributes:
        rank: number of this process; 0 opens folders, starts the others, scores.
        count: how many there are.
        local_rank: number of this process on its machine.
        starter: who starts the processes: the first one itself, slurm, or torchrun.
        launch: a name that all processes of one start have, and no other start; torchrun gives none.
    """

    rank: int = 0
    count: int = 1
    local_rank: int = 0
    starter: Literal["self", "slurm", "torchrun"] = "self"
    launch: str = ""

    @property
    def is_first(self) -> bool:
        """Whether this is the one that the others depend on."""
        return self.rank == 0

    @property
    def may_fetch(self) -> bool:
        """Whether this one looks on the hub; those that the first one starts take what it has fetched."""
        return self.is_first or self.starter != "self"


def find_place(environment: Mapping[str, str] = os.environ) -> Place:
    """What whoever started this process says about it; a single one may start others itself."""
    if _LAUNCH in environment:
        rank, count, local = (int(environment[name]) for name in _RANKS)
        return Place(rank, count, local, "self", environment[_LAUNCH])
    # Of the step: a script that srun has not started sees the variables of the whole job.
    if "SLURM_PROCID" in environment and int(environment.get("SLURM_STEP_NUM_TASKS", 1)) > 1:
        step = [environment.get(name, "0") for name in ("SLURM_JOB_ID", "SLURM_STEP_ID", "SLURM_RESTART_COUNT")]
        rank, count, local = (int(environment[f"SLURM_{name}"]) for name in ("PROCID", "STEP_NUM_TASKS", "LOCALID"))
        return Place(rank, count, local, "slurm", "slurm-" + ".".join(step))
    if {*_RANKS, "TORCHELASTIC_RUN_ID"} <= environment.keys() and int(environment["WORLD_SIZE"]) > 1:
        rank, count, local = (int(environment[name]) for name in _RANKS)
        return Place(rank, count, local, "torchrun")
    return Place(launch=f"{os.getpid()}-{time.time_ns()}")


def end_with_first(place: Place) -> None:
    """Let a process that the first one has started get SIGTERM when that one is gone; it may be gone already."""
    if not place.is_first and place.starter == "self" and sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)


def is_orphan(place: Place) -> bool:
    """Whether the process that has started this one is gone."""
    return not place.is_first and place.starter == "self" and str(os.getppid()) != place.launch.partition("-")[0]


def describe_end(rank: int, count: int, code: int) -> str:
    """How a process has ended, for people."""
    if code < 0:
        return f"process {rank} of {count} was killed by {signal.Signals(-code).name}"
    return f"process {rank} of {count} ended with exit code {code}"


class Children:
    """The other processes of a command: this very command once more, each with its number.

    Args:
        place: of the first process, with the count that there shall be.
        lose: is told how one of them has ended before its time, and the exit code for that.
    """

    def __init__(self, place: Place, lose: Callable[[str, int], object]) -> None:
        self._lose = lose
        self._count = place.count
        self._ends = threading.Event()
        threads = os.environ.get("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // place.count)))
        self._processes = {}
        for rank in range(1, place.count):
            own = dict(zip((*_RANKS, _LAUNCH), (str(rank), str(place.count), str(rank), place.launch), strict=True))
            self._processes[rank] = subprocess.Popen(
                [sys.executable, *sys.orig_argv[1:]],
                env={**os.environ, "OMP_NUM_THREADS": threads, **own},
                stdin=subprocess.DEVNULL,
            )
        self._watch = threading.Thread(target=self._look, daemon=True)
        self._watch.start()

    def _look(self) -> None:
        while not self._ends.wait(0.2):
            for rank, process in self._processes.items():
                code = process.poll()
                if code and not self._ends.is_set():
                    if code in _STOPPED:
                        # So is this one, most likely, and it will say so.
                        time.sleep(1)
                    # A mistake that the process has explained is one of the command.
                    self._lose(f"error: {describe_end(rank, self._count, code)}", 2 if code == 2 else 1)
                    return

    def are_done(self) -> bool:
        """Whether all of them have ended well."""
        return all(process.poll() == 0 for process in self._processes.values())

    def end(self) -> None:
        """End those that are still there; nobody waits for long."""
        self._ends.set()
        for process in self._processes.values():
            if process.poll() is None:
                process.terminate()
        end = time.monotonic() + _TERMINATION_SECONDS
        for process in self._processes.values():
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=max(0.0, end - time.monotonic()))
            process.kill()
            process.wait()


def agree_on_launch(place: Place) -> str:
    """The name of this start; torchrun's processes get it from the first one."""
    if place.starter != "torchrun":
        return place.launch
    from torch import distributed

    names: list[str | None] = [f"torchrun-{os.getpid()}-{time.time_ns()}"]
    # The first process may be fetching a checkpoint.
    distributed.init_process_group("gloo", timeout=timedelta(days=1))
    distributed.broadcast_object_list(names)
    distributed.destroy_process_group()
    return str(names[0])


def check_devices(place: Place, devices: str) -> None:
    """Refuse a number of processes that is not the one that was started.

    Raises:
        InputError: it is another one.
    """
    if place.starter != "self" and devices not in ("auto", str(place.count)):
        raise InputError(
            f"--devices: expected the {place.count} processes that {place.starter} has started, got {devices}; "
            "leave it out"
        )
