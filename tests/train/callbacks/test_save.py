"""Checkpoints while training: when, how many are kept, and that an old one goes last."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.tiny_run import train_here, write_arguments
from train.callbacks.save import SaveCallback
from train.state import find_states


def steps(folder: Path) -> list[int]:
    return [step for step, _ in find_states(folder / "checkpoints")]


@pytest.mark.parametrize(("every", "limit", "kept"), [(2, 9, [2, 4, 5]), (2, 1, [5]), (5, 1, [5]), (9, 2, [5])])
def test_a_run_keeps_its_last_checkpoints(every, limit, kept, checkpoint, meta, tmp_path):
    options = {"max_steps": 5, "save_steps": every, "save_total_limit": limit}
    train_here(write_arguments(checkpoint, meta, tmp_path / "run", **options))
    assert steps(tmp_path / "run") == kept
    assert {path.name for path in (tmp_path / "run" / "checkpoints").iterdir()} == {f"step-{step}" for step in kept}


def test_with_several_passes_it_saves_once_per_step(checkpoint, meta, tmp_path):
    options = {"max_steps": 4, "save_steps": 2, "save_total_limit": 9, "per_device_batch_size": 1}
    train_here(write_arguments(checkpoint, meta, tmp_path / "run", **{**options, "data.packing": "false"}))
    assert steps(tmp_path / "run") == [2, 4]


def test_an_old_checkpoint_goes_when_the_new_one_is_whole(tmp_path):
    saver = SaveCallback(tmp_path, every=1, limit=1)

    def write(folder: Path) -> None:
        folder.mkdir()
        (folder / "checkpoint.json").write_text("{}")

    write(tmp_path / "step-1")
    seen: list[list[int]] = []

    def save(folder: Path) -> None:
        seen.append([step for step, _ in find_states(tmp_path)])
        write(folder)

    trainer: Any = SimpleNamespace(
        global_step=2, save_checkpoint=save, is_global_zero=True, strategy=SimpleNamespace(barrier=lambda _: None)
    )
    saver.save(trainer)
    saver.save(trainer)  # the same step again: there is one
    assert seen == [[1]]
    assert [step for step, _ in find_states(tmp_path)] == [2]


def test_a_save_that_fails_leaves_the_old_one(tmp_path):
    (tmp_path / "step-1").mkdir()
    (tmp_path / "step-1" / "checkpoint.json").write_text("{}")

    def fail(_: Path) -> None:
        raise OSError("No space left on device")

    trainer: Any = SimpleNamespace(global_step=2, save_checkpoint=fail, is_global_zero=True)
    with pytest.raises(OSError, match="No space"):
        SaveCallback(tmp_path, every=1, limit=1).save(trainer)
    assert [step for step, _ in find_states(tmp_path)] == [1]
