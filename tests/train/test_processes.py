"""The processes of a run: who started them, how many there are, and what contradicts that."""

from __future__ import annotations

from typing import Any

import pytest

from internvl.errors import InputError
from train.config import FinetuneConfig
from train.processes import Processes, find_processes

TORCHRUN = {"RANK": "9", "LOCAL_RANK": "1", "WORLD_SIZE": "16", "LOCAL_WORLD_SIZE": "8"}
SLURM = {
    "SLURM_JOB_ID": "7",
    "SLURM_STEP_ID": "0",
    "SLURM_PROCID": "5",
    "SLURM_STEP_NUM_NODES": "2",
    "SLURM_STEP_NUM_TASKS": "8",
    # Of the allocation, which is larger.
    "SLURM_NNODES": "4",
    "SLURM_NTASKS": "32",
}


def find(environment: dict[str, str], num_gpus: int = 0, **options: Any) -> Processes:
    return find_processes(FinetuneConfig(**options), num_gpus, environment)


@pytest.mark.parametrize(
    ("num_gpus", "options", "devices"),
    [(0, {}, 1), (8, {}, 8), (0, {"devices": 2}, 2), (8, {"devices": 2}, 2), (8, {"devices": 8}, 8)],
)
def test_alone_the_first_process_starts_the_others(num_gpus, options, devices):
    assert find({}, num_gpus, **options) == Processes(devices, 1, 0, "self")


def test_a_process_that_was_started_by_the_first_knows_its_number():
    # What Lightning gives to those that it starts.
    environment = {"MASTER_ADDR": "127.0.0.1", "NODE_RANK": "1", "LOCAL_RANK": "3", "WORLD_SIZE": "8"}
    found = find(environment, 4, nodes=2)
    assert found == Processes(4, 2, 7, "self")
    assert found.world == 8


def test_more_devices_than_there_are_is_refused():
    with pytest.raises(InputError, match=r"^devices: expected at most 4, got 5; lower --devices$"):
        find({}, 4, devices=5)
    assert find({}, 0, devices=5).devices == 5  # on the CPU there may be any number


def test_torchrun_says_everything():
    assert find(TORCHRUN, 8) == Processes(8, 2, 9, "torchrun")
    assert find({**TORCHRUN, "TORCHELASTIC_RUN_ID": "none"}, 8).launcher == "torchrun"
    assert find(TORCHRUN, 0, devices=8, nodes=2).world == 16


def test_a_step_of_slurm_says_everything():
    assert find(SLURM, 4) == Processes(4, 2, 5, "slurm")
    assert find({**SLURM, **TORCHRUN}, 4).launcher == "slurm"


def test_without_numbers_of_the_step_those_of_the_allocation_count():
    rest = {name: value for name, value in SLURM.items() if not name.startswith("SLURM_STEP_NUM")}
    assert find(rest, 8) == Processes(8, 4, 5, "slurm")
    bare = {"SLURM_STEP_ID": "0", "SLURM_PROCID": "0"}
    assert find(bare) == Processes(1, 1, 0, "slurm")


@pytest.mark.parametrize("gone", ["SLURM_STEP_ID", "SLURM_PROCID"])
def test_a_batch_script_of_slurm_is_no_step(gone):
    script = {name: value for name, value in SLURM.items() if name != gone}
    assert find(script, 8) == Processes(8, 1, 0, "self")
    # So torchrun works inside of one.
    assert find({**script, **TORCHRUN}, 8).launcher == "torchrun"


@pytest.mark.parametrize(("environment", "who"), [(SLURM, "slurm"), (TORCHRUN, "torchrun")])
@pytest.mark.parametrize("options", [{"devices": 3}, {"nodes": 3}, {"devices": 3, "nodes": 2}])
def test_options_that_contradict_what_was_started_are_named(environment, who, options):
    with pytest.raises(
        InputError, match=rf"^devices: expected what {who} started, \d on each of 2 nodes, got .*; leave"
    ):
        find(environment, 8, **options)


@pytest.mark.parametrize(("environment", "devices"), [(SLURM, 4), (TORCHRUN, 8)])
def test_more_processes_than_gpus_are_named(environment, devices):
    with pytest.raises(InputError, match=rf"^devices: expected at most 1 processes per node, .*, got {devices} from "):
        find(environment, 1)


def test_unequal_nodes_are_named():
    with pytest.raises(InputError, match=r"^slurm: expected as many processes on every node, got 7 on 2; start equal"):
        find({**SLURM, "SLURM_STEP_NUM_TASKS": "7"}, 8)
    with pytest.raises(InputError, match=r"^torchrun: expected as many processes on every node, got 15 on 8; start"):
        find({**TORCHRUN, "WORLD_SIZE": "15"}, 8)
