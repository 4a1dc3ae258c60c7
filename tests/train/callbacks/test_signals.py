"""A run that is told to stop saves, says so, and goes on with the same command to the same bytes."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from tests.tiny_run import Done, run_here, start_process, train_here, write_arguments
from train.callbacks.signals import SIGNALS, STOPPED, SignalCallback, requeue
from train.module import SFTModule
from train.state import find_states

NUM_STEPS = 24
OPTIONS = {
    "max_steps": NUM_STEPS,
    "save_steps": 15,
    # More batches per step than are prepared in advance.
    "batch_size": 8,
    "per_device_batch_size": 1,
    "data.packing": "false",
    "data.num_workers": 1,
}


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """As in the processes: sums of several threads may differ in their last bit."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def undisturbed(checkpoint: Path, meta: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    train_here(write_arguments(checkpoint, meta, folder, **OPTIONS))
    return folder


def stop(arguments: list[str], step: int, send: Callable[[int], None]) -> Done:
    """Start a run and send it something when this step is done."""
    lines = []
    with start_process(*arguments, start_new_session=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line)
            if line.startswith(f"step {step}/"):
                send(process.pid)
                break
        try:
            output, errors = process.communicate(timeout=100)
        finally:
            process.kill()
    return Done(process.returncode, "".join(lines) + output, errors)


def read_export(folder: Path) -> bytes:
    return (folder / "export" / "model.safetensors").read_bytes()


def last_step(output: str) -> int:
    return int(re.findall(r"^step (\d+)/", output, flags=re.MULTILINE)[-1])


def assert_stopped(done: Done, folder: Path, name: str) -> int:
    """A run that ended as it should; the step that it saved."""
    assert done.code == STOPPED == 75, done.errors
    assert done.errors == f"{name}: the run is saved and stops after this step or the next one\n"
    step = last_step(done.output)
    assert step < NUM_STEPS
    assert done.output.endswith(f"stopped after step {step}: saved; the same command goes on from here\n")
    assert find_states(folder / "checkpoints")[-1][0] == step
    assert not (folder / "export").exists()
    return step


def assert_goes_on(arguments: list[str], step: int, folder: Path, undisturbed: Path) -> None:
    done = run_here(arguments)
    assert (done.code, done.errors) == (0, "")
    assert f"going on from {folder}/checkpoints/step-{step}\n" in done.output
    assert read_export(folder) == read_export(undisturbed)


# Slurm and a terminal signal every process, also those that prepare data: the step that is saved still needs these.
@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGINT], ids=["usr1 to all", "int to all"])
def test_a_run_that_is_told_to_stop_goes_on_to_the_same_bytes(number, checkpoint, meta, undisturbed, tmp_path):
    arguments = write_arguments(checkpoint, meta, tmp_path, **OPTIONS)
    done = stop(arguments, 6, lambda process: os.killpg(process, number))
    step = assert_stopped(done, tmp_path, number.name)
    assert step >= 6
    assert_goes_on(arguments, step, tmp_path, undisturbed)


def test_a_run_that_is_told_to_end_goes_on_to_the_same_bytes(
    checkpoint, meta, undisturbed, tmp_path, monkeypatch, capfd
):
    arguments = write_arguments(checkpoint, meta, tmp_path, **OPTIONS)
    train = SFTModule.training_step

    def end(module: SFTModule, batch: Any, batch_idx: int) -> Any:
        if module.trainer.global_step == 6 and not module.is_told_to_stop:
            os.kill(os.getpid(), signal.SIGTERM)
        return train(module, batch, batch_idx)

    with monkeypatch.context() as patch:
        patch.setattr(SFTModule, "training_step", end)
        done = run_here(arguments)
    step = assert_stopped(Done(done.code, done.output, capfd.readouterr().err), tmp_path, "SIGTERM")
    assert_goes_on(arguments, step, tmp_path, undisturbed)


@pytest.mark.slow
def test_one_of_two_processes_is_enough_to_stop_both(checkpoint, meta, tmp_path):
    arguments = write_arguments(checkpoint, meta, tmp_path, **{**OPTIONS, "devices": 2, "data.num_workers": 0})

    def send(process: int) -> None:
        os.kill(int(find_children(process, "train")[0]), signal.SIGUSR1)

    done = stop(arguments, 6, send)
    assert_stopped(done, tmp_path, "SIGUSR1")


def find_children(process: int, module: str) -> list[str]:
    """The processes of a command that this one started."""
    listed = subprocess.run(
        ["ps", "-o", "pid=,args=", "--ppid", str(process)], capture_output=True, text=True, check=False
    )
    return [
        line.split()[0] for line in listed.stdout.splitlines() if f"-m {module}" in line or f"{module}/__main__" in line
    ]


@pytest.mark.slow
def test_a_second_interrupt_stops_at_once(checkpoint, meta, tmp_path):
    arguments = write_arguments(checkpoint, meta, tmp_path, **OPTIONS)

    def send(process: int) -> None:
        # Both before the next step begins; one more for the case that a step lay between them.
        for wait in (0, 0.002, 0.004):
            threading.Timer(wait, os.kill, (process, signal.SIGINT)).start()

    done = stop(arguments, 6, send)
    assert done.code not in (0, STOPPED)
    assert "SIGINT: the run is saved" in done.errors
    assert "stopped after step" not in done.output
    assert find_states(tmp_path / "checkpoints") == []


@pytest.fixture
def callback() -> Iterator[tuple[SignalCallback, Any]]:
    """A callback at work in this process, and its module; the handlers are put back."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    made, module, trainer = SignalCallback(make_saver()), SimpleNamespace(is_told_to_stop=False), SimpleNamespace()
    made.on_train_start(trainer, module)  # type: ignore[arg-type]
    try:
        yield made, module
    finally:
        made.teardown(trainer, module, "fit")  # type: ignore[arg-type]
        assert {number: signal.getsignal(number) for number in SIGNALS} == before


def make_saver() -> Any:
    return SimpleNamespace(save=lambda trainer: None)


@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
def test_a_signal_is_noted_and_nothing_more(number, callback, capfd):
    made, module = callback
    signal.raise_signal(number)
    assert module.is_told_to_stop
    assert made.received == number
    assert capfd.readouterr().err.startswith(f"{number.name}: the run is saved and stops after this step")


def test_only_a_second_interrupt_is_an_interrupt(callback):
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
        signal.raise_signal(number)
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


@pytest.fixture
def scontrol(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A command that notes what it is asked and answers like slurm; the reason of the job is in a file beside it."""
    command = tmp_path / "scontrol"
    command.write_text(
        '#!/bin/sh\necho "$*" >> "$0.calls"\n'
        'if [ "$1" = show ]; then cat "$0.reason"; exit 0; fi\n'
        'if [ -f "$0.refuses" ]; then echo "Job/step already completing" >&2; exit 1; fi\n'
    )
    command.chmod(0o755)
    (tmp_path / "scontrol.reason").write_text("JobState=COMPLETING Reason=TimeLimit Dependency=(null)\n")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    for name in ("SLURM_JOB_ID", "SLURM_STEP_ID", "SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID"):
        monkeypatch.delenv(name, raising=False)
    return command


def read_calls(scontrol: Path) -> list[str]:
    calls = scontrol.with_name("scontrol.calls")
    return calls.read_text().splitlines() if calls.exists() else []


def set_job(monkeypatch: pytest.MonkeyPatch, **names: str) -> None:
    for name, value in names.items():
        monkeypatch.setenv(f"SLURM_{name}", value)


def test_a_step_of_a_job_is_requeued(scontrol, monkeypatch, capsys):
    set_job(monkeypatch, JOB_ID="41", STEP_ID="0")
    requeue(signal.SIGUSR1)
    assert read_calls(scontrol) == ["requeue 41"]
    assert capsys.readouterr().out == "requeued: job 41\n"


def test_a_task_of_an_array_has_a_name_of_its_own(scontrol, monkeypatch, capsys):
    set_job(monkeypatch, JOB_ID="45", STEP_ID="0", ARRAY_JOB_ID="41", ARRAY_TASK_ID="3")
    requeue(signal.SIGUSR1)
    assert read_calls(scontrol) == ["requeue 41_3"]
    assert capsys.readouterr().out == "requeued: job 41_3\n"


@pytest.mark.parametrize("names", [{}, {"JOB_ID": "41"}, {"STEP_ID": "0"}])
def test_outside_of_a_step_nothing_is_asked(names, scontrol, monkeypatch, capfd):
    set_job(monkeypatch, **names)
    requeue(signal.SIGUSR1)
    assert read_calls(scontrol) == []
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, 0])
def test_a_cancelled_job_stays_cancelled(number, scontrol, monkeypatch, capsys):
    set_job(monkeypatch, JOB_ID="41", STEP_ID="0")
    scontrol.with_name("scontrol.reason").write_text("JobState=CANCELLED Reason=None\n")
    requeue(number)
    assert read_calls(scontrol) == ["show job 41"]
    assert capsys.readouterr().out.startswith("not requeued: job 41 was cancelled")


def test_at_its_time_limit_a_job_is_requeued(scontrol, monkeypatch):
    set_job(monkeypatch, JOB_ID="41", STEP_ID="0")
    requeue(signal.SIGTERM)
    assert read_calls(scontrol) == ["show job 41", "requeue 41"]


def test_a_refusal_is_passed_on(scontrol, monkeypatch, capsys):
    set_job(monkeypatch, JOB_ID="41", STEP_ID="0")
    scontrol.with_name("scontrol.refuses").touch()
    requeue(signal.SIGUSR1)
    assert capsys.readouterr() == ("", "not requeued: job 41: Job/step already completing\n")


def test_without_the_command_of_slurm_a_run_ends_well_all_the_same(tmp_path, scontrol, monkeypatch, capsys):
    set_job(monkeypatch, JOB_ID="41", STEP_ID="0")
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    requeue(signal.SIGUSR1)
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("not requeued: job 41: scontrol: ")
