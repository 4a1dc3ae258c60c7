"""shell/finetune.sh in a real slurm on this machine: how it starts, how signals arrive, how jobs come back."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.shell.checkout import ROOT, write_program
from tests.tiny_slurm import Slurm

pytestmark = pytest.mark.slow
# Stands for the training: says where it is and what it is told, and saves and asks for a requeue as the training does.
PROBE = """
import os, signal, subprocess, sys, time
variables = os.environ
def say(*words):
    print("task", variables["SLURM_PROCID"], *words, flush=True)
def react(number, frame):
    say("got", signal.Signals(number).name)
    if number == signal.SIGUSR1 and variables["SLURM_PROCID"] == "0" and "--requeue" in sys.argv:
        subprocess.run(["scontrol", "requeue", variables["SLURM_JOB_ID"]], check=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, react)
signal.signal(signal.SIGUSR1, react)
node, name = variables["SLURM_NODEID"], variables["SLURM_JOB_NAME"]
say("starts on node", node, "of", variables["SLURM_STEP_NUM_NODES"], "in", name)
if "--wait" in sys.argv and not int(variables.get("SLURM_RESTART_COUNT", 0)):
    time.sleep(60)
sys.exit(int(sys.argv[-1]) if sys.argv[-1].isdigit() else 0)
"""


@dataclass(frozen=True)
class Launcher:
    """The script, in a checkout whose Python runs the probe.

    Attributes:
        slurm: where it runs.
        root: the checkout.
    """

    slurm: Slurm
    root: Path

    @property
    def log(self) -> Path:
        return self.root / "run" / "training_log.txt"

    def command(self, *options: str) -> list[str]:
        return ["sh", str(self.root / "shell" / "finetune.sh"), str(self.root / "recipe.yaml"), *options]

    def run(self, *options: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return self.slurm.run(*self.command(*options), SRUN_ARGS="--time=1", CPUS_PER_TASK="1", **variables)

    def submit(self, *options: str, sbatch: str = "", **variables: str) -> str:
        """The number of a submitted job of two tasks."""
        given = {"SUBMIT": "1", "CPUS_PER_TASK": "1", "GPUS": "2", "SBATCH_ARGS": f"--parsable --time=2 {sbatch}"}
        done = self.slurm.run(*self.command(*options), **given, **variables)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def lines(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []

    def wait(self, line: str, times: int = 1) -> None:
        """Until the log has a line so many times."""
        wait_until(lambda: self.lines().count(line) >= times, f"{line!r} in {self.log}")


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"expected {what} within {seconds} s"
        time.sleep(0.1)


@pytest.fixture
def launcher(slurm: Slurm, tmp_path: Path) -> Iterator[Launcher]:
    (tmp_path / "shell").mkdir()
    shutil.copy(ROOT / "shell" / "finetune.sh", tmp_path / "shell")
    (tmp_path / "probe.py").write_text(PROBE)
    write_program(tmp_path / ".venv" / "bin" / "python", f'#!/bin/sh\nexec {sys.executable} {tmp_path}/probe.py "$@"\n')
    (tmp_path / "recipe.yaml").write_text("output_dir: run\nbatch_size: 8\nper_device_batch_size: 2\n")
    yield Launcher(slurm, tmp_path)
    slurm.run("scancel", "--user=root")


@pytest.mark.parametrize(("nodes", "per_node"), [(1, 2), (2, 1)])
def test_every_gpu_has_its_task(launcher: Launcher, nodes: int, per_node: int) -> None:
    done = launcher.run(NODES=str(nodes), GPUS_PER_NODE=str(per_node))
    assert done.returncode == 0, done.stderr
    expected = [f"task {rank} starts on node {rank // per_node} of {nodes} in recipe" for rank in range(2)]
    assert sorted(line.replace(" in python", " in recipe") for line in done.stdout.splitlines()) == expected
    assert sorted(launcher.lines()) == sorted(done.stdout.splitlines())


def test_exit_code_of_a_task_is_that_of_the_script(launcher: Launcher) -> None:
    assert launcher.run("3", GPUS="2").returncode == 3


def test_a_shell_of_an_allocation_starts_tasks_of_their_own(launcher: Launcher) -> None:
    words = ["salloc", "--quiet", "--time=1", "--nodes=1", "--ntasks=2", "--gres=gpu:2", *launcher.command()]
    done = launcher.slurm.run(*words, CPUS_PER_TASK="1")
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.splitlines()) == [f"task {rank} starts on node 0 of 1 in recipe" for rank in range(2)]


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGUSR1, signal.SIGINT])
def test_tasks_can_save_when_the_script_is_told_to_end(launcher: Launcher, sent: signal.Signals) -> None:
    own = {**launcher.slurm.environment, "GPUS": "2", "CPUS_PER_TASK": "1", "SRUN_ARGS": "--time=1"}
    with subprocess.Popen(
        launcher.command("--wait"), env=own, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        launcher.wait("task 0 starts on node 0 of 1 in python")
        launcher.wait("task 1 starts on node 0 of 1 in python")
        process.send_signal(sent)
        process.communicate(timeout=60)
    assert process.returncode == 0
    assert {"task 0 got SIGUSR1", "task 1 got SIGUSR1"} <= set(launcher.lines())


def start_job(launcher: Launcher, *options: str, **keys: str) -> str:
    job = launcher.submit("--wait", *options, **keys)
    for rank in range(2):
        launcher.wait(f"task {rank} starts on node 0 of 1 in recipe")
    return job


def test_a_job_that_asks_for_it_is_queued_again_and_ends_well(launcher: Launcher) -> None:
    job = start_job(launcher, "--requeue")
    launcher.slurm.read("scancel", "--signal=USR1", job)
    fields = launcher.slurm.wait(job, "COMPLETED")
    assert (fields["Restarts"], fields["ExitCode"]) == ("1", "0:0")
    for rank in range(2):
        assert launcher.lines().count(f"task {rank} starts on node 0 of 1 in recipe") == 2
        assert f"task {rank} got SIGUSR1" in launcher.lines()


def test_a_cancelled_job_hears_of_it_and_stays_cancelled(launcher: Launcher) -> None:
    job = start_job(launcher, "--requeue")
    launcher.slurm.read("scancel", job)
    assert launcher.slurm.wait(job, "CANCELLED")["Restarts"] == "0"
    assert {"task 0 got SIGTERM", "task 1 got SIGTERM"} <= set(launcher.lines())
    assert not [line for line in launcher.lines() if "SIGUSR1" in line]


def test_a_preempted_job_is_queued_again_by_slurm(launcher: Launcher) -> None:
    job = start_job(launcher, "--requeue", sbatch="--exclusive --nodelist=n2")
    urgent = ("srun", "-p", "urgent", "--nodelist=n2", "--exclusive", "--time=1", "true")
    assert launcher.slurm.run(*urgent).returncode == 0
    assert launcher.slurm.wait(job, "COMPLETED")["Restarts"] == "1"
    assert {"task 0 got SIGTERM", "task 1 got SIGTERM"} <= set(launcher.lines())
