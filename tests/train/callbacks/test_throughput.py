"""The speed of a run: real samples, tokens and tiles per second over all processes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from train.callbacks.throughput import ThroughputCallback
from train.counts import Counts


class Logger:
    """Keeps the points it is given."""

    def __init__(self) -> None:
        self.points: list[tuple[int, dict[str, float]]] = []

    def log_metrics(self, metrics: dict[str, float], step: int) -> None:
        self.points.append((step, dict(metrics)))


def run(
    clock: Any, steps: list[Counts], *, every: int = 1, passes: int = 1, first: int = 0
) -> list[tuple[int, dict[str, float]]]:
    """Forward passes of half a second each; the counts are those of whole steps over all processes."""
    callback, logger = ThroughputCallback(every), Logger()
    trainer: Any = SimpleNamespace(global_step=first, accumulate_grad_batches=passes, loggers=[logger], max_steps=99)
    module: Any = SimpleNamespace(counts=Counts())
    callback.on_train_start(trainer, module)
    for index in range(first * passes, (first + len(steps)) * passes):
        module.counts = steps[index // passes - first]
        clock.now += 0.5
        trainer.global_step = (index + 1) // passes
        callback.on_train_batch_end(trainer, module, None, None, index)
    return logger.points


def test_a_point_is_what_a_step_counted_over_its_time(clock):
    (point,) = run(clock, [Counts(samples=2, tokens=8, tiles=0, weight=5, learned=3)])
    assert point == (
        0,
        {"speed/samples_per_second": 4.0, "speed/tokens_per_second": 16.0, "speed/tiles_per_second": 0.0},
    )


def test_every_point_is_the_mean_since_the_one_before(clock):
    slow, fast = Counts(samples=1, tokens=1, tiles=1), Counts(samples=1, tokens=7, tiles=2)
    points = run(clock, [slow, slow, fast, fast, fast], every=2)
    assert [step for step, _ in points] == [1, 3]
    assert [rates["speed/tokens_per_second"] for _, rates in points] == [2.0, 14.0]
    assert [rates["speed/tiles_per_second"] for _, rates in points] == [2.0, 4.0]


def test_a_step_counts_once_however_many_forward_passes_it_takes(clock):
    points = run(clock, [Counts(samples=6, tokens=12, tiles=3)] * 2, passes=3)
    assert points == [
        (step, {"speed/samples_per_second": 4.0, "speed/tokens_per_second": 8.0, "speed/tiles_per_second": 2.0})
        for step in (0, 1)
    ]


def test_a_run_that_goes_on_counts_its_own_steps_only(clock):
    points = run(clock, [Counts(samples=1, tokens=4, tiles=1)] * 2, every=2, first=6)
    assert points == [
        (7, {"speed/samples_per_second": 2.0, "speed/tokens_per_second": 8.0, "speed/tiles_per_second": 2.0})
    ]
