"""The speed of a run: real samples, tokens and tiles per second over all processes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch

from train.callbacks.throughput import ThroughputCallback


class Logger:
    """Keeps the points it is given."""

    def __init__(self) -> None:
        self.points: list[tuple[int, dict[str, float]]] = []

    def log_metrics(self, metrics: dict[str, float], step: int) -> None:
        self.points.append((step, dict(metrics)))


def make_batch(tokens: list[int], width: int, tiles: list[int]) -> dict[str, Any]:
    mask = torch.arange(width)[None] < torch.tensor(tokens)[:, None]
    return {"input_ids": mask.long(), "attention_mask": mask, "image_flags": torch.tensor(tiles)}


def run(
    clock: Any, batches: list[dict[str, Any]], *, every: int = 1, passes: int = 1, world: int = 1
) -> list[tuple[int, dict[str, float]]]:
    """Forward passes of half a second each."""
    callback, logger = ThroughputCallback(every), Logger()
    trainer: Any = SimpleNamespace(
        global_step=0, accumulate_grad_batches=passes, world_size=world, loggers=[logger], max_steps=99
    )
    module: Any = None
    callback.on_train_start(trainer, module)
    for index, batch in enumerate(batches):
        callback.on_train_batch_start(trainer, module, batch, index)
        clock.now += 0.5
        trainer.global_step = (index + 1) // passes
        callback.on_train_batch_end(trainer, module, None, batch, index)
    return logger.points


def test_padding_and_blank_tiles_are_no_work(clock):
    (point,) = run(clock, [make_batch([3, 5], 8, [0])])
    assert point == (
        0,
        {"speed/samples_per_second": 4.0, "speed/tokens_per_second": 16.0, "speed/tiles_per_second": 0.0},
    )


def test_all_processes_together_are_counted(clock):
    (point,) = run(clock, [make_batch([4], 4, [1, 1, 1])], world=8)
    assert point[1] == {
        "speed/samples_per_second": 16.0,
        "speed/tokens_per_second": 64.0,
        "speed/tiles_per_second": 48.0,
    }


def test_every_point_is_the_mean_since_the_one_before(clock):
    slow, fast = make_batch([1], 1, [1]), make_batch([7], 7, [1, 1])
    points = run(clock, [slow, slow, fast, fast, fast], every=2)
    assert [step for step, _ in points] == [1, 3]
    assert [rates["speed/tokens_per_second"] for _, rates in points] == [2.0, 14.0]
    assert [rates["speed/tiles_per_second"] for _, rates in points] == [2.0, 4.0]


def test_all_forward_passes_of_a_step_count(clock):
    points = run(clock, [make_batch([2, 2], 2, [1])] * 6, passes=3)
    assert points == [
        (step, {"speed/samples_per_second": 4.0, "speed/tokens_per_second": 8.0, "speed/tiles_per_second": 2.0})
        for step in (0, 1)
    ]


def test_a_message_in_the_place_of_a_batch_is_left_to_the_module(clock):
    callback = ThroughputCallback(1)
    nothing: Any = None
    callback.on_train_batch_start(nothing, nothing, {"error": "rows.jsonl:1: wrong"}, 0)
    assert (callback.samples, callback.tokens, callback.tiles) == (0, 0, 0)
