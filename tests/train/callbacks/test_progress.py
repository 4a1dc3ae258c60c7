"""The lines of a log file: one per logged optimiser step, from the first process only."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from train.callbacks.progress import ProgressCallback, describe_points, describe_time

POINTS = {"speed/samples_per_second": 12.4, "speed/tokens_per_second": 3456.7, "data/wait_share": 0.029}


def run(clock: Any, every: int, *, passes: int = 1, first: int = 0, total: int = 7, is_first: bool = True) -> None:
    """Steps of two seconds each up to `total`."""
    charts: Any = SimpleNamespace(points=POINTS)
    progress = ProgressCallback(charts, every)
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
    assert lines[0] == (
        "step 5/20  loss 1.2346  lr 1.25e-04  12 samples/s  3457 tokens/s  3% data wait  3 bad  0:00:30 left"
    )
    assert [line.split()[-2] for line in lines] == ["0:00:30", "0:00:20", "0:00:10", "0:00:00"]


def test_the_use_of_the_device_has_a_place_where_it_is_known():
    words = describe_points(POINTS | {"speed/mfu": 0.4123, "loss/rows": 1.0})
    assert words == ["12 samples/s", "3457 tokens/s", "41.2% MFU", "3% data wait"]
    assert describe_points({}) == []


def test_a_slow_first_step_is_no_measure_of_the_others(clock, capsys):
    progress = ProgressCallback(SimpleNamespace(points=POINTS), 1)  # type: ignore[arg-type]
    trainer: Any = SimpleNamespace(
        global_step=0,
        max_steps=10,
        accumulate_grad_batches=1,
        is_global_zero=True,
        optimizers=[SimpleNamespace(param_groups=[{"lr": 1.0}])],
        callback_metrics={"train/loss": torch.tensor(1.0)},
    )
    module: Any = None
    progress.on_train_start(trainer, module)
    for index, seconds in enumerate([100.0, 2.0, 4.0]):
        clock.now += seconds
        trainer.global_step = index + 1
        progress.on_train_batch_end(trainer, module, None, None, index)
    assert [line.split()[-2] for line in capsys.readouterr().out.splitlines()] == ["0:15:00", "0:00:16", "0:00:21"]


def test_long_times_are_hours(clock, capsys):
    run(clock, 1, total=5000)
    assert capsys.readouterr().out.splitlines()[0].endswith(" 2:46:38 left")
    assert [describe_time(seconds) for seconds in (0, 59.6, 3599, 100 * 3600 + 62)] == [
        "0:00:00",
        "0:01:00",
        "0:59:59",
        "100:01:02",
    ]


@pytest.mark.parametrize("passes", [1, 3])
def test_every_so_many_steps_have_a_line_and_so_has_the_last(passes, clock, capsys):
    run(clock, 3, passes=passes)
    assert re.findall(r"^step (\d+)/7 ", capsys.readouterr().out, flags=re.MULTILINE) == ["3", "6", "7"]


def test_the_time_left_is_that_of_this_process(clock, capsys):
    run(clock, 1, first=15, total=20)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("step 16/20 ")
    assert lines[0].endswith(" 0:00:08 left")


def test_other_processes_say_nothing(clock, capsys):
    run(clock, 1, is_first=False)
    assert capsys.readouterr().out == ""
