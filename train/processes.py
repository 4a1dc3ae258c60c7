"""The processes of a run: how many there are, and which of them this one is, by who started it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from internvl.errors import InputError
from train.config import FinetuneConfig


@dataclass(frozen=True, slots=True)
class Processes:
    """The processes of a run.

    Attributes:
        devices: per node, one process each.
        nodes: machines.
        rank: number of this process; 0 builds and writes what all of them need.
        launcher: who starts them: slurm, torchrun, or the first process itself.
    """

    devices: int
    nodes: int
    rank: int
    launcher: Literal["slurm", "torchrun", "self"]

    @property
    def world(self) -> int:
        """How many there are."""
        return self.devices * self.nodes


def find_processes(config: FinetuneConfig, num_gpus: int, environment: Mapping[str, str] = os.environ) -> Processes:
    """The processes that slurm or torchrun started, or the ones that the options ask for.

    Args:
        config: of the run.
        num_gpus: of this machine; 0 trains on the CPU.
        environment: variables of this process.

    Raises:
        InputError: the options ask for others than were started, or for devices that are not there.
    """
    if _is_slurm(environment):
        # Of the step: an allocation may be larger than what srun was told to start in it.
        nodes = int(environment.get("SLURM_STEP_NUM_NODES") or environment.get("SLURM_NNODES") or 1)
        tasks = int(environment.get("SLURM_STEP_NUM_TASKS") or environment.get("SLURM_NTASKS") or 1)
        started = _share("slurm", tasks, nodes), nodes
        return _check("slurm", started, int(environment["SLURM_PROCID"]), config, num_gpus)
    if _is_torchrun(environment):
        devices = int(environment["LOCAL_WORLD_SIZE"])
        started = devices, _share("torchrun", int(environment["WORLD_SIZE"]), devices)
        return _check("torchrun", started, int(environment["RANK"]), config, num_gpus)
    devices = config.devices if config.devices != "auto" else max(1, num_gpus)
    if num_gpus and devices > num_gpus:
        raise InputError(f"devices: expected at most {num_gpus}, got {devices}; lower --devices")
    rank = int(environment.get("NODE_RANK", 0)) * devices + int(environment.get("LOCAL_RANK", 0))
    return Processes(devices, config.nodes, rank, "self")


def is_first(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether this process has the number 0, before anything else is known of the run."""
    if _is_slurm(environment):
        return int(environment["SLURM_PROCID"]) == 0
    if _is_torchrun(environment):
        return int(environment["RANK"]) == 0
    return int(environment.get("NODE_RANK", 0)) == int(environment.get("LOCAL_RANK", 0)) == 0


def _is_slurm(environment: Mapping[str, str]) -> bool:
    return "SLURM_STEP_ID" in environment and "SLURM_PROCID" in environment


def _is_torchrun(environment: Mapping[str, str]) -> bool:
    return "TORCHELASTIC_RUN_ID" in environment or {"RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE"} <= environment.keys()


def _share(who: str, number: int, groups: int) -> int:
    share, over = divmod(number, groups)
    if over:
        raise InputError(
            f"{who}: expected as many processes on every node, got {number} on {groups}; start equal parts"
        )
    return share


def _check(
    who: Literal["slurm", "torchrun"], started: tuple[int, int], rank: int, config: FinetuneConfig, num_gpus: int
) -> Processes:
    devices, nodes = started
    if config.devices not in ("auto", devices) or config.nodes not in (1, nodes):
        raise InputError(
            f"devices: expected what {who} started, {devices} on each of {nodes} nodes, got {config.devices} on "
            f"{config.nodes}; leave --devices and --nodes out"
        )
    if num_gpus and devices > num_gpus:
        raise InputError(
            f"devices: expected at most {num_gpus} processes per node, one per GPU that each of them sees, got "
            f"{devices} from {who}; start fewer, or let every process see all GPUs of its node"
        )
    return Processes(devices, nodes, rank, who)
