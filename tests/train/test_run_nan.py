"""A loss or gradient that is no number: the run stops with the samples, and its last checkpoint stays good."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch

from tests.tiny_run import run_here, train_here, write_arguments
from train.module import SFTModule
from train.state import SavedState, find_states

OPTIONS = {"max_steps": 6, "save_steps": 2, "save_total_limit": 9}


def poison(monkeypatch: pytest.MonkeyPatch, step: int, part: str) -> None:
    """From this step on, the loss or the gradient of every pass is no number."""
    train = SFTModule.training_step

    def training_step(module: SFTModule, batch: Any, batch_idx: int) -> Any:
        forward = type(module.model).forward
        if module.trainer.global_step < step:
            return train(module, batch, batch_idx)

        def spoilt(model: Any, *args: Any, **keys: Any) -> Any:
            output = forward(model, *args, **keys)
            if part == "loss":
                output.loss = output.loss * float("nan")
            else:
                output.loss.register_hook(lambda gradient: gradient * float("inf"))
            return output

        with monkeypatch.context() as patch:
            patch.setattr(type(module.model), "forward", spoilt)
            return train(module, batch, batch_idx)

    monkeypatch.setattr(SFTModule, "training_step", training_step)


@pytest.mark.parametrize("part", ["loss", "gradient"])
def test_the_run_stops_before_it_learns_from_it(part, checkpoint, meta, tmp_path, monkeypatch):
    arguments = write_arguments(checkpoint, meta, tmp_path / "run", **OPTIONS)
    with monkeypatch.context() as patch:
        poison(patch, 3, part)
        done = run_here(arguments)
    assert done.code == 2
    assert done.errors.count("\n") == 1, done.errors
    if part == "loss":
        assert done.errors.startswith("error: loss: expected a number in step 4, got nan among the samples ")
        rows = meta.with_suffix(".jsonl")
        assert len(re.findall(rf"{re.escape(str(rows))}:\d+", done.errors)) == 4
    else:
        assert re.match(r"error: gradient_norm: expected a number in step 4, got (nan|inf); look at ", done.errors)
    assert done.errors.endswith("the last checkpoint is good, and the same command goes on from it\n")
    ((_, last),) = find_states(tmp_path / "run" / "checkpoints")
    assert last.name == "step-2"
    state = SavedState(last)
    assert all(bool(torch.isfinite(state.read(name)).all()) for name in state.shapes)
    assert not (tmp_path / "run" / "export").exists()
    # The data was not the reason here.
    assert f"going on from {last}" in train_here(arguments)
