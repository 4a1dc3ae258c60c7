"""Meters: what is measured between two points of a run's curves, and how its sums over all ranks become the points."""

from __future__ import annotations

import resource
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from train.counts import Counts


class SourceLosses:
    """Sums of the losses of single tokens by the data set they are from, on this rank.

    In double precision, so that the sums are the same to many digits however tokens share packs, passes and ranks.

    Args:
        num_sources: data sets.
        device: of the losses; nothing is copied from it before `take`.
    """

    def __init__(self, num_sources: int, device: torch.device | str = "cpu") -> None:
        self.sums = torch.zeros((2, num_sources), dtype=torch.float64, device=device)

    def add(self, losses: Tensor, sources: Tensor) -> None:
        """Add tokens with the numbers of their data sets."""
        both = torch.stack([losses.double(), torch.ones_like(losses, dtype=torch.float64)])
        self.sums.index_add_(1, sources, both)

    def take(self) -> Tensor:
        """Loss and number of tokens of every data set since the last call, (2, data sets)."""
        sums, self.sums = self.sums, torch.zeros_like(self.sums)
        return sums


@dataclass(frozen=True, slots=True)
class Interval:
    """What lies between two points, over all ranks.

    Attributes:
        counts: of all its steps.
        seconds: how long it took.
        packs: forward passes over packs; 0 where samples are padded.
        losses: of the tokens of every data set, and how many there are, (2, data sets).
        waited: seconds that each rank waited for batches.
        peaks: bytes that each rank used at most, since it began.
    """

    counts: Counts
    seconds: float
    packs: int
    losses: Sequence[Sequence[float]]
    waited: Sequence[float]
    peaks: Sequence[float]


def join_ranks(losses: Tensor, waited: float, peak: float, rank: int, world: int) -> Tensor:
    """What one rank has to say of an interval as numbers whose sum over the ranks holds what all have to say.

    Everything goes in one message: sums as they are, and what sums would hide at a place of every rank's own.
    """
    own = torch.zeros((2, world), dtype=torch.float64, device=losses.device)
    own[0, rank], own[1, rank] = waited, peak
    return torch.cat([losses.flatten(), own.flatten()])


def split_ranks(values: Tensor, world: int) -> tuple[list[list[float]], list[float], list[float]]:
    """The losses of all data sets, and the waiting and the memory of every rank, from the sum of `join_ranks`."""
    numbers = values.tolist()
    losses, own = numbers[: -2 * world], numbers[-2 * world :]
    half = len(losses) // 2
    return [losses[:half], losses[half:]], own[:world], own[world:]


def make_rates(interval: Interval) -> dict[str, float]:
    """Samples, tokens and tiles per second over all ranks; padding and blank tiles are no work done."""
    counts, seconds = interval.counts, interval.seconds
    return {
        "speed/samples_per_second": counts.samples / seconds,
        "speed/tokens_per_second": counts.tokens / seconds,
        "speed/tiles_per_second": counts.tiles / seconds,
    }


def make_flops(interval: Interval, flops: float, world: int, peak_tflops: float | None) -> dict[str, float]:
    """FLOPs of a device per second, and their share of its peak where that is known.

    Args:
        interval: how long it took.
        flops: of the model in that time, over all ranks.
        world: devices.
        peak_tflops: of one device.
    """
    tflops = flops / interval.seconds / world / 1e12
    points = {"speed/model_tflops_per_device": tflops}
    return points | ({"speed/mfu": tflops / peak_tflops} if peak_tflops else {})


def make_data_points(interval: Interval, max_packed_tokens: int | None) -> dict[str, float]:
    """The share of the time that the rank which waited most waited for data, and of the token places that was of use.

    That of packs is of their budget, which a pack need not fill; that of padded batches is of the places computed.
    """
    counts = interval.counts
    points = {"data/wait_share": min(1.0, max(interval.waited) / interval.seconds)}
    if interval.packs and max_packed_tokens:
        points["data/pack_fill"] = counts.tokens / (interval.packs * max_packed_tokens)
    elif counts.slots:
        points["data/useful_slots"] = counts.tokens / counts.slots
    return points


def make_loss_points(interval: Interval, names: Sequence[str]) -> dict[str, float]:
    """The mean loss of a learned token of every data set; a data set without one has no point."""
    both = zip(names, *interval.losses, strict=True)
    return {f"loss/{name}": total / count for name, total, count in both if count}


def measure_memory(device: torch.device) -> tuple[str, int]:
    """The name of a curve, and the most bytes so far: of tensors on a GPU, else of this process."""
    if device.type == "cuda":
        return "memory/device_peak_gb", torch.cuda.max_memory_allocated(device)
    unit = 1 if sys.platform == "darwin" else 1024
    return "memory/process_peak_gb", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
