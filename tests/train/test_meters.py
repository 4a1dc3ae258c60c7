"""Meters: sums over ranks in one message, and the points that come of them."""

from __future__ import annotations

import resource
from dataclasses import replace

import pytest
import torch

from train.counts import Counts
from train.meters import (
    Interval,
    SourceLosses,
    join_ranks,
    make_data_points,
    make_flops,
    make_loss_points,
    make_rates,
    measure_memory,
    split_ranks,
)

INTERVAL = Interval(
    Counts(samples=6, tokens=300, tiles=9, slots=400), 2.0, 4, [[3.0, 0.0, 1.0], [2.0, 0.0, 4.0]], [0.1, 0.5], [7, 5]
)


def test_losses_are_sums_over_the_tokens_of_every_data_set():
    meter = SourceLosses(3)
    meter.add(torch.tensor([1.0, 2.0, 4.0]), torch.tensor([2, 0, 2]))
    meter.add(torch.tensor([8.0]), torch.tensor([0]))
    meter.add(torch.tensor([]), torch.tensor([], dtype=torch.int64))
    assert meter.take().tolist() == [[10.0, 0.0, 5.0], [2.0, 0.0, 2.0]]
    # The next interval begins anew.
    meter.add(torch.tensor([3.0]), torch.tensor([1]))
    assert meter.take().tolist() == [[0.0, 3.0, 0.0], [0.0, 1.0, 0.0]]


def test_many_small_losses_do_not_vanish_beside_a_large_sum():
    meter = SourceLosses(1)
    meter.add(torch.tensor([2.0**24]), torch.tensor([0]))
    for _ in range(10):
        meter.add(torch.ones(3), torch.zeros(3, dtype=torch.int64))
    # A sum in single precision would stay where it is.
    assert meter.take().tolist() == [[2.0**24 + 30], [31.0]]


@pytest.mark.parametrize("world", [1, 3])
def test_one_sum_holds_what_every_rank_has_to_say(world):
    losses = [torch.tensor([[1.0 + rank, 2.0], [3.0, 4.0 * rank]], dtype=torch.float64) for rank in range(world)]
    parts = [join_ranks(losses[rank], 0.5 + rank, 1e9 * rank, rank, world) for rank in range(world)]
    found, waited, peaks = split_ranks(torch.stack(parts).sum(dim=0), world)
    assert found == torch.stack(losses).sum(dim=0).tolist()
    assert waited == [0.5 + rank for rank in range(world)]
    assert peaks == [1e9 * rank for rank in range(world)]


def test_rates_are_counts_over_time():
    assert make_rates(INTERVAL) == {
        "speed/samples_per_second": 3.0,
        "speed/tokens_per_second": 150.0,
        "speed/tiles_per_second": 4.5,
    }


def test_flops_are_shared_by_the_devices_and_compared_with_the_peak_of_one():
    assert make_flops(INTERVAL, 16e12, 4, 8.0) == {"speed/model_tflops_per_device": 2.0, "speed/mfu": 0.25}
    assert make_flops(INTERVAL, 16e12, 4, None) == {"speed/model_tflops_per_device": 2.0}


def test_the_rank_that_waits_longest_says_how_long_the_data_takes():
    assert make_data_points(INTERVAL, 100)["data/wait_share"] == 0.25
    # A worker that was waited for in part before the interval began.
    assert make_data_points(replace(INTERVAL, waited=[2.5]), 100)["data/wait_share"] == 1.0


def test_packs_are_as_full_as_their_budget_and_padded_batches_as_useful_as_their_places():
    assert make_data_points(INTERVAL, 100)["data/pack_fill"] == 0.75
    assert "data/useful_slots" not in make_data_points(INTERVAL, 100)
    padded = make_data_points(replace(INTERVAL, packs=0), None)
    assert (padded["data/useful_slots"], "data/pack_fill" in padded) == (0.75, False)


def test_a_data_set_without_learned_tokens_has_no_point():
    assert make_loss_points(INTERVAL, ["one", "two", "three"]) == {"loss/one": 1.5, "loss/three": 0.25}


def test_memory_on_the_cpu_is_that_of_the_process():
    name, peak = measure_memory(torch.device("cpu"))
    assert name == "memory/process_peak_gb"
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    assert 50e6 < peak <= before


def test_memory_on_a_gpu_is_that_of_its_tensors(monkeypatch):
    monkeypatch.setattr("torch.cuda.max_memory_allocated", lambda device: 123 if str(device) == "cuda:1" else 0)
    assert measure_memory(torch.device("cuda", 1)) == ("memory/device_peak_gb", 123)
