"""The lines of a log file: one per logged optimiser step, from the first process only."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from train.callbacks.progress import ProgressCallback
from train.callbacks.throughput import ThroughputCallback


def run(clock: Any, every: int, *, passes: int = 1, first: int = 0, total: int = 7, is_first: bool = True) -> None:
    """Steps of two seconds each up to `total`."""
    throughput = ThroughputCallback(every)
    throughput.rates = {"speed/samples_per_second": 12.4, "speed/tokens_per_second": 3456.7}
    progress = ProgressCallback(throughput, every)
    trainer: Any = SimpleNamespace(
        global_step=first,
        max_steps=total,
        accumulate_grad_batches=passes,
        is_global_zero=is_first,
        optimizers=[SimpleNamespace(param_groups=[{"lr": 1.25e-4}])],
        callback_metrics={"train/loss": torch.tensor(1.23456), "bad": torch.tensor(3.0)},
    )
    module: Any = None
    progress.on_train_start(trainer, module)
    for index in range(first * passes, total * passes):
        clock.now += 2.0 / passes
        trainer.global_step = (index + 1) // passes
        progress.on_train_batch_end(trainer, module, None, None, index)


def test_a_line_holds_loss_rate_speed_bad_samples_and_time_left(clock, capsys):
    run(clock, 5, total=20)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "step 5/20  loss 1.2346  lr 1.25e-04  12 samples/s  3457 tokens/s  3 bad  30 s left"
    assert [line.split()[-3] for line in lines] == ["30", "20", "10", "0"]


@pytest.mark.parametrize("passes", [1, 3])
def test_every_so_many_steps_have_a_line_and_so_has_the_last(passes, clock, capsys):
    run(clock, 3, passes=passes)
    assert re.findall(r"^step (\d+)/7 ", capsys.readouterr().out, flags=re.MULTILINE) == ["3", "6", "7"]


def test_the_time_left_is_that_of_this_process(clock, capsys):
    run(clock, 1, first=15, total=20)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("step 16/20 ")
    assert lines[0].endswith(" 8 s left")


def test_other_processes_say_nothing(clock, capsys):
    run(clock, 1, is_first=False)
    assert capsys.readouterr().out == ""
