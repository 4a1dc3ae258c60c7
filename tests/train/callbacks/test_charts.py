"""The curves of a run: what is counted between two points, over all processes, and where they stand."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from train.callbacks.charts import ChartsCallback, find_peak
from train.counts import Counts
from train.packing import CostModel

COST = CostModel(per_token=1e12, per_square=1e11, per_tile=1e13)


class Logger:
    """Keeps the points it is given."""

    def __init__(self) -> None:
        self.points: list[tuple[int, dict[str, float]]] = []

    def log_metrics(self, metrics: dict[str, float], step: int) -> None:
        self.points.append((step, dict(metrics)))


def make_trainer(logger: Logger, **keys: Any) -> Any:
    """What the callback asks of a trainer."""
    usual = {
        "global_step": 0,
        "accumulate_grad_batches": 1,
        "loggers": [logger],
        "max_steps": 99,
        "precision": "32-true",
        "is_global_zero": True,
        "world_size": 1,
        "global_rank": 0,
        "train_dataloader": SimpleNamespace(waited=0.0),
        "strategy": SimpleNamespace(reduce=lambda values, reduce_op: values),
    }
    return SimpleNamespace(**usual | keys)


def run(
    clock: Any,
    steps: Sequence[Counts],
    *,
    every: int = 1,
    passes: int = 1,
    first: int = 0,
    last: int = 99,
    losses: Sequence[tuple[float, int]] = (),
    **options: Any,
) -> list[tuple[int, dict[str, float]]]:
    """Forward passes of half a second each, of which 0.1 s are waited; the counts are those of whole steps.

    Args:
        losses: of a token in every forward pass, with its data set.
    """
    logger = Logger()
    callback = ChartsCallback(every, ["one", "two"], COST, **options)
    trainer = make_trainer(logger, global_step=first, accumulate_grad_batches=passes, max_steps=last)
    shown: dict[str, float] = {}
    module: Any = SimpleNamespace(
        counts=Counts(),
        device=torch.device("cpu"),
        log=lambda name, value, prog_bar, logger: shown.update({name: value}),
    )
    callback.on_train_start(trainer, module)
    for index in range(first * passes, (first + len(steps)) * passes):
        module.counts = steps[index // passes - first]
        clock.now += 0.5
        trainer.train_dataloader.waited += 0.1
        for loss, source in losses[index : index + 1]:
            module.source_losses.add(torch.tensor([loss]), torch.tensor([source]))
        trainer.global_step = (index + 1) // passes
        callback.on_train_batch_end(trainer, module, None, None, index)
    if logger.points:
        assert shown["tokens/s"] == logger.points[-1][1]["speed/tokens_per_second"]
    return logger.points


def select(points: list[tuple[int, dict[str, float]]], name: str) -> dict[int, float]:
    return {step: values[name] for step, values in points if name in values}


def test_a_point_is_what_a_step_counted_over_its_time(clock):
    ((step, point),) = run(clock, [Counts(samples=2, tokens=8, tiles=0, squares=20, slots=16)], peak_tflops=40.0)
    assert step == 0
    assert 0.05 < point.pop("memory/process_peak_gb") < 100
    assert point == pytest.approx(
        {
            "speed/samples_per_second": 4.0,
            "speed/tokens_per_second": 16.0,
            "speed/tiles_per_second": 0.0,
            "speed/model_tflops_per_device": 20.0,
            "speed/mfu": 0.5,
            "data/wait_share": 0.2,
            "data/useful_slots": 0.5,
        }
    )


def test_every_point_is_the_mean_since_the_one_before(clock):
    slow, fast = Counts(samples=1, tokens=1, tiles=1), Counts(samples=1, tokens=7, tiles=2)
    losses = [(1.0, 0), (2.0, 0), (9.0, 1), (5.0, 0), (7.0, 1)]
    points = run(clock, [slow, slow, fast, fast, fast], every=2, losses=losses)
    assert select(points, "speed/tokens_per_second") == {1: 2.0, 3: 14.0}
    assert select(points, "speed/tiles_per_second") == {1: 2.0, 3: 4.0}
    assert select(points, "data/wait_share") == pytest.approx({1: 0.2, 3: 0.2})
    # A data set that nothing was learned from has no point.
    assert select(points, "loss/one") == {1: 1.5, 3: 5.0}
    assert select(points, "loss/two") == {3: 9.0}


def test_the_last_step_has_a_point(clock):
    points = run(clock, [Counts(samples=1, tokens=1)] * 5, every=3, last=5)
    assert select(points, "speed/samples_per_second") == {2: 2.0, 4: 2.0}


def test_a_step_counts_once_however_many_forward_passes_it_takes(clock):
    steps = [Counts(samples=6, tokens=12, tiles=3)] * 2
    points = run(clock, steps, passes=3, max_packed_tokens=16, losses=[(k, 0) for k in range(6)])
    assert select(points, "speed/samples_per_second") == {0: 4.0, 1: 4.0}
    assert select(points, "speed/tokens_per_second") == {0: 8.0, 1: 8.0}
    assert select(points, "data/pack_fill") == {0: 0.25, 1: 0.25}
    assert select(points, "loss/one") == {0: 1.0, 1: 4.0}


def test_a_run_that_goes_on_counts_its_own_steps_only(clock):
    points = run(clock, [Counts(samples=1, tokens=4, tiles=1)] * 2, every=2, first=6)
    assert select(points, "speed/tokens_per_second") == {7: 8.0}
    assert select(points, "data/wait_share") == pytest.approx({7: 0.2})


def test_ranks_exchange_one_message_per_point(clock):
    sent: list[torch.Tensor] = []

    def reduce(values: torch.Tensor, reduce_op: str) -> torch.Tensor:
        assert reduce_op == "sum"
        sent.append(values)
        # What the second rank says: two tokens of the second data set, 0.4 s of waiting, and 9 GB.
        return values + torch.tensor([0, 6, 0, 2, 0, 0.4, 0, 9e9], dtype=torch.float64)

    logger = Logger()
    callback = ChartsCallback(2, ["one", "two"], COST)
    trainer = make_trainer(
        logger,
        is_global_zero=False,
        world_size=2,
        train_dataloader=SimpleNamespace(waited=0.1),
        strategy=SimpleNamespace(reduce=reduce),
    )
    module: Any = SimpleNamespace(counts=Counts(tokens=5), device=torch.device("cpu"), log=lambda *_, **__: None)
    callback.on_train_start(trainer, module)
    module.source_losses.add(torch.tensor([4.0, 1.0]), torch.tensor([0, 1]))
    for step in range(4):
        clock.now += 1.0
        trainer.global_step = step + 1
        callback.on_train_batch_end(trainer, module, None, None, step)
    assert len(sent) == 2
    first, second = (values for _, values in logger.points)
    assert (first["loss/one"], first["loss/two"]) == (4.0, 7 / 3)
    assert first["data/wait_share"] == pytest.approx(0.2)
    assert first["memory/process_peak_gb"] == 9.0
    # Two devices share the work.
    assert first["speed/model_tflops_per_device"] == 5.0 / 2
    assert (second["loss/two"], "loss/one" in second) == (3.0, False)


def test_the_time_of_an_evaluation_is_none_of_training(clock):
    logger = Logger()
    callback = ChartsCallback(1, [], COST)
    trainer = make_trainer(logger, global_step=1)
    module: Any = SimpleNamespace(counts=Counts(tokens=6), device=torch.device("cpu"), log=lambda *_, **__: None)
    callback.on_train_start(trainer, module)
    clock.now += 1.0
    callback.on_validation_start(trainer, module)
    clock.now += 50.0
    callback.on_validation_end(trainer, module)
    clock.now += 2.0
    callback.on_train_batch_end(trainer, module, None, None, 0)
    assert select(logger.points, "speed/tokens_per_second") == {0: 2.0}


def test_a_run_without_a_known_peak_says_once_how_to_give_it(clock, capsys):
    points = run(clock, [Counts(tokens=1)] * 3)
    assert not select(points, "speed/mfu")
    (line,) = capsys.readouterr().out.splitlines()
    assert line == "speed: no curve speed/mfu, the peak of this device (cpu) is not known; --peak_tflops gives it"
    run(clock, [Counts(tokens=1)], peak_tflops=1.0)
    assert capsys.readouterr().out == ""


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("name", "precision", "peak"),
    [
        ("NVIDIA H200", "bf16-mixed", 989.4),
        ("NVIDIA A800-SXM4-80GB", "bf16-true", 312.0),
        ("NVIDIA A100-SXM4-80GB", "bf16-mixed", 312.0),
        ("NVIDIA H100 80GB HBM3", "bf16-mixed", 989.4),
        ("A card of next year", "bf16-mixed", None),
    ],
)
def test_peaks_are_those_of_dense_matrices(name, precision, peak, monkeypatch):
    monkeypatch.setattr("torch.cuda.get_device_name", lambda device: name)
    assert find_peak(torch.device("cuda", 0), precision) == peak


def test_a_cpu_has_no_known_peak():
    assert find_peak(torch.device("cpu"), "32-true") is None
