"""The processes of a command: which one this is, how the others are started, and how their end is noticed."""

from __future__ import annotations

import os
import sys
import time

import pytest

from evaluate.processes import (
    Children,
    Place,
    agree_on_launch,
    check_devices,
    describe_end,
    find_place,
    is_orphan,
)
from internvl.errors import InputError

STEP = {
    "SLURM_JOB_ID": "7",
    "SLURM_STEP_ID": "1",
    "SLURM_PROCID": "3",
    "SLURM_STEP_NUM_TASKS": "4",
    "SLURM_LOCALID": "1",
}
TORCHRUN = {"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "TORCHELASTIC_RUN_ID": "none"}


def test_slurm_says_which_task_of_a_step_this_is() -> None:
    assert find_place(STEP) == Place(3, 4, 1, "slurm", "slurm-7.1.0")
    assert find_place(STEP | {"SLURM_RESTART_COUNT": "2"}).launch == "slurm-7.1.2", "a job that is queued again"
    script = {name: value for name, value in STEP.items() if "STEP" not in name} | {"SLURM_NTASKS": "4"}
    for alone in (STEP | {"SLURM_STEP_NUM_TASKS": "1", "SLURM_PROCID": "0"}, script | {"SLURM_PROCID": "0"}):
        place = find_place(alone)
        assert (place.rank, place.count, place.starter) == (0, 1, "self"), "nobody else is there"


def test_torchrun_says_which_process_this_is() -> None:
    assert find_place(TORCHRUN) == Place(3, 4, 1, "torchrun")
    assert find_place(TORCHRUN | {"WORLD_SIZE": "1", "RANK": "0"}).starter == "self"


def test_a_process_alone_is_the_first_and_no_two_starts_have_one_name() -> None:
    first, second = find_place({}), find_place({})
    assert (first.rank, first.count, first.starter, first.is_first) == (0, 1, "self", True)
    assert first.launch != second.launch
    assert agree_on_launch(first) == first.launch


def test_processes_that_the_first_one_starts_leave_the_hub_to_it() -> None:
    own = TORCHRUN | {"EVALUATE_LAUNCH": "1-1"}
    assert [find_place(given).may_fetch for given in ({}, STEP, TORCHRUN, own)] == [True, True, True, False]


def test_a_number_of_devices_that_was_not_started_is_refused() -> None:
    place = find_place(STEP)
    check_devices(place, "auto")
    check_devices(place, "4")
    check_devices(find_place({}), "9")
    with pytest.raises(InputError, match="--devices: expected the 4 processes that slurm has started, got 2; leave it"):
        check_devices(place, "2")


def test_ends_are_told_in_words() -> None:
    assert describe_end(1, 3, -9) == "process 1 of 3 was killed by SIGKILL"
    assert describe_end(2, 3, 1) == "process 2 of 3 ended with exit code 1"


def test_only_a_process_that_the_first_one_has_started_can_lose_it() -> None:
    own = Place(1, 2, 1, "self", f"{os.getppid()}-5")
    assert not is_orphan(own)
    assert is_orphan(Place(1, 2, 1, "self", "1-5" if os.getppid() != 1 else "2-5"))
    assert not is_orphan(find_place(STEP))
    assert not is_orphan(find_place({}))


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch):
    """What this very command is said to be."""

    def choose(code: str) -> None:
        monkeypatch.setattr(sys, "orig_argv", [sys.executable, "-c", code])

    return choose


def wait_for(condition) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_children_know_their_number_and_end_well(program, tmp_path) -> None:
    program(
        "import sys; sys.path.insert(0, '.')\n"
        "from evaluate.processes import find_place\n"
        f"place = find_place(); open(f'{tmp_path}/{{place.rank}}', 'w').write(repr(place))"
    )
    first = find_place({})
    lost: list[object] = []
    children = Children(Place(0, 3, 0, "self", first.launch), lambda *told: lost.append(told))
    wait_for(children.are_done)
    children.end()
    assert lost == []
    for rank in (1, 2):
        assert (tmp_path / str(rank)).read_text() == repr(Place(rank, 3, rank, "self", first.launch))


def test_a_child_that_ends_before_its_time_is_reported_and_the_others_are_ended(program) -> None:
    program("import os, time; os.environ['RANK'] == '1' and os.kill(os.getpid(), 9); time.sleep(60)")
    lost: list[object] = []
    children = Children(Place(0, 3, 0, "self", "x"), lambda *told: lost.append(told))
    wait_for(lambda: lost)
    assert lost == [("error: process 1 of 3 was killed by SIGKILL", 1)]
    assert not children.are_done()
    begin = time.monotonic()
    children.end()
    assert time.monotonic() - begin < 5


def test_a_mistake_that_a_child_has_explained_is_one_of_the_command_and_its_end_by_us_is_none(program) -> None:
    program("import sys; sys.exit(2)")
    lost: list[object] = []
    children = Children(Place(0, 2, 0, "self", "x"), lambda *told: lost.append(told))
    wait_for(lambda: lost)
    assert lost == [("error: process 1 of 2 ended with exit code 2", 2)]
    children.end()
    program("import time; time.sleep(60)")
    children = Children(Place(0, 2, 0, "self", "x"), lambda *told: lost.append(told))
    children.end()
    time.sleep(0.3)
    assert len(lost) == 1
