"""Checkpoints at their steps: the last ones stay, and an old one goes when the new one is whole."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from train.callbacks.save import SaveCallback
from train.state import find_states, save_state


class Trainer:
    """What the callback asks of a trainer; notes what was there when a checkpoint was complete."""

    def __init__(self, folder: Path, *, is_first: bool = True, max_steps: int = 10, passes: int = 1) -> None:
        self.folder = folder
        self.is_global_zero = is_first
        self.max_steps = max_steps
        self.accumulate_grad_batches = passes
        self.global_step = 0
        self.barriers: list[str] = []
        self.strategy = SimpleNamespace(barrier=self.barriers.append)
        self.there: list[list[int]] = []

    def save_checkpoint(self, path: Path) -> None:
        save_state(path, [], {"global_step": self.global_step}, {}, rank=0, barrier=lambda: None)
        self.there.append(list_steps(self.folder))


def list_steps(folder: Path) -> list[int]:
    return [step for step, _ in find_states(folder)]


def run(folder: Path, steps: int, every: int, limit: int, **keys: Any) -> Trainer:
    """A run of so many steps, its forward passes one after the other."""
    trainer: Any = Trainer(folder, max_steps=steps, **keys)
    callback = SaveCallback(folder, every, limit)
    for batch in range(steps * trainer.accumulate_grad_batches):
        trainer.global_step = (batch + 1) // trainer.accumulate_grad_batches
        callback.on_train_batch_end(trainer, None, None, None, batch)  # type: ignore[arg-type]
    return trainer


@pytest.mark.parametrize(
    ("steps", "every", "limit", "left"),
    [(10, 3, 1, [10]), (10, 3, 2, [9, 10]), (10, 5, 9, [5, 10]), (9, 3, 3, [3, 6, 9]), (4, 200, 1, [4])],
)
def test_the_last_ones_stay(steps, every, limit, left, tmp_path):
    trainer = run(tmp_path, steps, every, limit)
    assert list_steps(tmp_path) == left
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(f"step-{step}" for step in left)
    # When a new one is whole, those before it are still there.
    assert all(len(there) == min(limit + 1, number + 1) for number, there in enumerate(trainer.there))


@pytest.mark.parametrize("passes", [1, 2, 3])
def test_nothing_is_written_within_a_step(passes, tmp_path):
    trainer = run(tmp_path, 6, 2, 9, passes=passes)
    assert list_steps(tmp_path) == [2, 4, 6]
    assert len(trainer.there) == 3


def test_a_step_is_written_once(tmp_path):
    trainer: Any = Trainer(tmp_path)
    trainer.global_step = 3
    callback = SaveCallback(tmp_path, 3, 1)
    callback.on_train_batch_end(trainer, None, None, None, 0)  # type: ignore[arg-type]
    callback.save(trainer)  # as a run that is told to stop does
    assert len(trainer.there) == 1
    trainer.global_step = 4
    callback.save(trainer)
    assert list_steps(tmp_path) == [4]


def test_a_failure_leaves_what_was_there(tmp_path, monkeypatch):
    run(tmp_path, 3, 3, 1)

    def fail(path: Path) -> None:
        raise OSError("No space left on device")

    trainer: Any = Trainer(tmp_path)
    trainer.global_step = 6
    monkeypatch.setattr(trainer, "save_checkpoint", fail)
    with pytest.raises(OSError, match="No space"):
        SaveCallback(tmp_path, 3, 1).save(trainer)
    assert list_steps(tmp_path) == [3]


def test_only_the_first_process_deletes_and_all_wait_for_it(tmp_path):
    trainer = run(tmp_path, 6, 2, 1, is_first=False)
    assert list_steps(tmp_path) == [2, 4, 6]
    assert len(trainer.barriers) == 3


def test_what_its_user_put_there_stays(tmp_path):
    (tmp_path / "step-1-best").mkdir()
    (tmp_path / "step-1-best" / "checkpoint.json").touch()
    run(tmp_path, 4, 2, 1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-1-best", "step-4"]
