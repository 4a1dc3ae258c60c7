"""A killed run goes on where it was: bit for bit on the same devices, and on any others with any strategy."""

from __future__ import annotations

import os
import random
import shutil
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.tiny_run import (
    mixed_rows,
    read_losses,
    read_weights,
    run_here,
    run_warm,
    write_arguments,
    write_meta,
)
from tests.warm import WarmProcess

pytestmark = [pytest.mark.slow, pytest.mark.dist]

NUM_STEPS = 12
OPTIONS = {
    "batch_size": 8,
    "max_steps": NUM_STEPS,
    "save_steps": 2,
    "data.max_packed_tokens": 300,
    "data.max_seq_length": 200,
    "model.freeze_backbone": "true",
    "model.use_llm_lora": 2,
    "model.lora_dropout": 0.0,  # what it drops depends on how samples share the devices
    "optim.decay": "matrices",
    "optim.mlp_learning_rate": 1e-3,
}
ORIGINS = {
    "ZeRO-2": ("zero2", 2),
    "ZeRO-3": ("zero3", 2),
    "FSDP2": ("fsdp2", 2),
}
OTHERS = {"ZeRO-2": ("single", 1), "ZeRO-3": ("zero1", 2), "FSDP2": ("zero3", 1)}


@dataclass(frozen=True, slots=True)
class Story:
    """A run that nobody stopped, and one with the same options that was killed.

    Attributes:
        undisturbed: run folder.
        killed: run folder.
        begin: steps that the killed one has saved.
    """

    undisturbed: Path
    killed: Path
    begin: int


@pytest.fixture(scope="module")
def meta(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mixed")
    return write_meta(folder, mixed_rows(folder, 30), data_augment=True)


@pytest.fixture(scope="module", params=ORIGINS)
def story(
    request: pytest.FixtureRequest, checkpoint: Path, meta: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Story]:
    folder = tmp_path_factory.mktemp("story")
    strategy, devices = ORIGINS[request.param]
    undisturbed = go_on(checkpoint, meta, folder / "undisturbed", strategy, devices)
    kill(write(checkpoint, meta, folder / "killed", strategy, devices), random.randrange(3, NUM_STEPS - 2))
    saved = sorted(int(path.name[5:]) for path in (folder / "killed" / "checkpoints").glob("step-*"))
    assert saved, "the kill came before the first checkpoint"
    return request.param, Story(undisturbed, folder / "killed", saved[-1])


def write(checkpoint: Path, meta: Path, folder: Path, strategy: str, devices: int) -> list[str]:
    return write_arguments(checkpoint, meta, folder, **{**OPTIONS, "strategy": strategy, "devices": devices})


def go_on(checkpoint: Path, meta: Path, folder: Path, strategy: str, devices: int) -> Path:
    arguments = write(checkpoint, meta, folder, strategy, devices)
    done = run_here(arguments) if strategy == "single" else run_warm(*arguments)
    assert done.code == 0, done.errors
    return folder


def kill(arguments: list[str], step: int) -> None:
    """Start a run, and kill all of its processes at once some moments after this step."""
    with WarmProcess("train", *arguments, start_new_session=True) as process:
        for line in process.stdout:
            if line.startswith(f"step {step}/"):
                os.killpg(process.pid, signal.SIGKILL)
                break
        _, errors = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL, errors


def copy_run(folder: Path, target: Path) -> Path:
    return Path(shutil.copytree(folder, target))


def test_the_same_devices_go_on_bit_for_bit(story, checkpoint, meta, tmp_path):
    origin, told = story
    folder = go_on(checkpoint, meta, copy_run(told.killed, tmp_path / "run"), *ORIGINS[origin])
    assert read_losses(folder)[-NUM_STEPS + told.begin :] == read_losses(told.undisturbed)[told.begin :]
    ours, theirs = read_weights(folder), read_weights(told.undisturbed)
    assert ours.keys() == theirs.keys()
    assert [name for name in ours if not torch.equal(ours[name], theirs[name])] == []


def test_other_devices_and_strategies_go_on_as_well(story, checkpoint, meta, tmp_path):
    origin, told = story
    strategy, devices = OTHERS[origin]
    folder = go_on(checkpoint, meta, copy_run(told.killed, tmp_path / "run"), strategy, devices)
    losses = read_losses(folder)[-NUM_STEPS + told.begin :]
    # The loss of a step is a function of its samples: another sequence would show at once.
    assert losses == pytest.approx(read_losses(told.undisturbed)[told.begin :], rel=1e-5), strategy
    ours, theirs = read_weights(folder), read_weights(told.undisturbed)
    assert max(float((ours[name] - theirs[name]).abs().max()) for name in ours) < 1e-5


def test_what_is_saved_is_what_is_trained(story):
    _, told = story
    from train.state import SavedState, find_states

    _, last = find_states(told.undisturbed / "checkpoints")[-1]
    names: Any = SavedState(last).shapes
    assert any(".lora_A." in name for name in names)
    assert {name.split(".")[0] for name in names} == {"mlp1", "language_model"}
    assert not [name for name in names if name.startswith("language_model") and ".lora_" not in name]
