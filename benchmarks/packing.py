"""What packing saves: useful token slots, real tiles and even work over 64 ranks, against ways of padding.

`python -m benchmarks.packing` plans 131,072 samples of a lognormal length law; `--full` plans 10 million as well and
takes CPU time and peak memory. Token slots and FLOPs of a forward pass are counted, nothing is run: a forward pass
lasts as long as its slowest rank, and what the others wait is counted as computed. Padded micro-batches have 8 samples;
packed steps have 8 to 64 samples per rank, in packs of at most 8,192 tokens and 48 tiles unless it says otherwise.

Lengths: lognormal, median 350, 95th percentile 1500, clipped to 48..2048. Tiles: none for 10 % of the samples, one for
60 %, two to seven for 30 %, but never more than fit into the sample's tokens at 16 or 256 tokens a tile.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import product
from math import log
from pathlib import Path

import numpy as np

from train.order import RunOrder
from train.packing import CostModel, Numbers, PackBudget
from train.plan import Plan
from train.planner import Measure, Packing, plan_run

RANKS = 64
PER_RANK = 8
LONGEST = 2048
PACKED = ((8, 8192), (16, 8192), (32, 8192), (64, 8192), (32, 16384))  # samples per rank and step, budget of tokens
WITH_300M = partial(CostModel.from_sizes, vision_params=0.302e9, vision_layers=24, vision_width=1024)
WITH_6B = partial(CostModel.from_sizes, vision_params=5.53e9, vision_layers=45, vision_width=3200)
MODELS = {
    "1B": WITH_300M(decoder_params=0.494e9, decoder_layers=24, decoder_width=896),
    "8B": WITH_300M(decoder_params=7.08e9, decoder_layers=28, decoder_width=3584),
    "40B": WITH_6B(decoder_params=33.96e9, decoder_layers=60, decoder_width=7168),
}


@dataclass(frozen=True, slots=True)
class Steps:
    """What every rank computes in every forward pass, and what of it is useful; and the tiles of the epoch.

    Attributes:
        tokens, flops: computed, a row per forward pass.
        useful_tokens, useful_flops: of the samples themselves, over all of them.
        real_tiles, tiles: of pictures, and computed.
    """

    tokens: Numbers
    flops: Numbers
    useful_tokens: float
    useful_flops: float
    real_tiles: int
    tiles: int

    def figures(self) -> dict[str, float]:
        """Shares of the computed work that are useful, and how even the work is."""
        over = self.flops.max(axis=1) / self.flops.mean(axis=1)
        figures = {
            "useful_tokens": self.useful_tokens / self.tokens.sum(),
            "useful_tokens_waiting": self.useful_tokens / (self.tokens.max(axis=1).sum() * RANKS),
            "useful_flops_waiting": self.useful_flops / (self.flops.max(axis=1).sum() * RANKS),
            "flops_max_over_mean": over.mean(),
            "flops_max_over_mean_worst_step": over.max(),
            "real_tiles": self.real_tiles / self.tiles,
        }
        return {name: round(float(value), 4) for name, value in figures.items()}


def draw_samples(num_samples: int, tile_tokens: int, seed: int = 0) -> tuple[Numbers, Numbers]:
    """Tokens and tiles of the length law."""
    random = np.random.default_rng(seed)
    tokens, tiles = np.empty(num_samples, np.int32), np.empty(num_samples, np.int16)
    for begin in range(0, num_samples, 1 << 20):
        part = slice(begin, min(num_samples, begin + (1 << 20)))
        count = part.stop - begin
        lengths = random.lognormal(log(350), log(1500 / 350) / 1.6448536, count)
        tokens[part] = np.clip(np.rint(lengths), 48, LONGEST)
        drawn = random.random(count)
        several = random.integers(2, 8, count)
        drawn_tiles = np.where(drawn < 0.1, 0, np.where(drawn < 0.7, 1, several))
        tiles[part] = np.minimum(drawn_tiles, tokens[part] // tile_tokens)
    return tokens, tiles


def measure_by_position(tokens: Numbers, tiles: Numbers) -> Measure:
    """Lengths in the order of a run."""
    order = RunOrder(len(tokens), seed=1)

    def measure(positions: Numbers) -> tuple[Numbers, Numbers]:
        draws = order.locate(positions)[1]
        return tokens[draws].astype(np.int64), tiles[draws].astype(np.int64)

    return measure


def measure_plan(plan: Plan, measure: Measure, cost: CostModel) -> dict[str, float]:
    """The figures of packs; one without a picture computes a blank tile."""
    places = plan.places.astype(np.int64) + np.arange(len(plan))[:, None] * plan.batch_size
    lengths, pictures = measure(places.ravel())
    begins = np.concatenate([[0], plan.sizes.ravel().cumsum(dtype=np.int64)[:-1]])
    packs = [np.add.reduceat(size, begins) for size in (lengths, pictures, cost.of(lengths, pictures))]
    blank = np.maximum(1 - packs[1], 0)
    steps = Steps(
        tokens=packs[0].reshape(-1, RANKS),
        flops=(packs[2] + cost.per_tile * blank).reshape(-1, RANKS),
        useful_tokens=lengths.sum(),
        useful_flops=packs[2].sum(),
        real_tiles=pictures.sum(),
        tiles=packs[1].sum() + blank.sum(),
    )
    return {**steps.figures(), "forward_passes_per_step": plan.num_batches // RANKS}


def measure_padding(
    batches: Numbers, tokens: Numbers, tiles: Numbers, cost: CostModel, length: int | None
) -> dict[str, float]:
    """The figures of padded micro-batches [step, rank, sample]; every sample without a picture brings a blank tile."""
    lengths, pictures = tokens[batches].astype(np.int64), tiles[batches].astype(np.int64)
    padded = np.broadcast_to(lengths.max(axis=2, keepdims=True) if length is None else length, lengths.shape)
    shown = np.maximum(pictures, 1)
    steps = Steps(
        tokens=padded.sum(axis=2),
        flops=cost.of(padded, shown).sum(axis=2),
        useful_tokens=lengths.sum(),
        useful_flops=cost.of(lengths, pictures).sum(),
        real_tiles=pictures.sum(),
        tiles=shown.sum(),
    )
    return steps.figures()


def group_by_length(order: Numbers, tokens: Numbers, ranks: int = RANKS) -> Numbers:
    """The published grouping: a step's samples by length, dealt so that the sums of the ranks are even."""
    dealt = np.empty((len(order) // (ranks * PER_RANK), ranks, PER_RANK), order.dtype)
    for step, samples in enumerate(order.reshape(len(dealt), -1)):
        sums, counts = np.zeros(ranks), np.zeros(ranks, int)
        for sample in samples[np.argsort(-tokens[samples], kind="stable")]:
            rank = int(sums.argmin())
            dealt[step, rank, counts[rank]] = sample
            counts[rank] += 1
            sums[rank] += tokens[sample]
            if counts[rank] == PER_RANK:
                sums[rank] = np.inf
    return dealt


def compare(num_samples: int, tile_tokens: int) -> Iterator[tuple[str, dict[str, float]]]:
    """The figures of every policy and model on one law."""
    tokens, tiles = draw_samples(num_samples, tile_tokens)
    measure = measure_by_position(tokens, tiles)
    for (per_rank, max_tokens), (name, cost) in product(PACKED, MODELS.items()):
        batch_size = per_rank * RANKS
        how = Packing(PackBudget(max_tokens, 48 * max_tokens // 8192), cost)
        plan = plan_run(measure, num_samples // batch_size, batch_size, RANKS, how)
        budget = "" if max_tokens == 8192 else f" to {max_tokens}"
        yield f"packed{budget}, {per_rank} per rank, {name}", measure_plan(plan, measure, cost)
    order = np.random.default_rng(1).permutation(num_samples)[: num_samples // (RANKS * PER_RANK) * RANKS * PER_RANK]
    random_batches, grouped = order.reshape(-1, RANKS, PER_RANK), group_by_length(order, tokens)
    for name, cost in MODELS.items():
        yield f"random, to the longest, {name}", measure_padding(random_batches, tokens, tiles, cost, None)
        yield f"random, to {LONGEST}, {name}", measure_padding(random_batches, tokens, tiles, cost, LONGEST)
        yield f"published grouping, {name}", measure_padding(grouped, tokens, tiles, cost, None)


def measure_planning(num_samples: int) -> dict[str, float]:
    """CPU seconds and peak memory of a plan, and the time to open it and read a step nine tenths in."""
    tokens, tiles = draw_samples(num_samples, 256)
    measure = measure_by_position(tokens, tiles)

    def cpu_seconds() -> float:
        used = resource.getrusage(resource.RUSAGE_SELF)
        return used.ru_utime + used.ru_stime

    begin, batch_size = cpu_seconds(), 16 * RANKS
    how = Packing(PackBudget(), MODELS["1B"])
    plan = plan_run(measure, num_samples // batch_size, batch_size, RANKS, how)
    figures = {"num_samples": num_samples, "plan_cpu_seconds": round(cpu_seconds() - begin, 1)}
    in_use = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    figures["peak_rss_gb"] = round(in_use * (1 if sys.platform == "darwin" else 1024) / 1e9, 2)
    with tempfile.TemporaryDirectory() as folder:
        plan.save(folder)
        figures["files_mb"] = round(sum(path.stat().st_size for path in Path(folder).iterdir()) / 1e6, 1)
        started = time.perf_counter()
        opened = Plan.open(folder, plan.fingerprint)
        packs = opened.step(len(opened) * 9 // 10)
        figures["open_and_read_step_ms"] = round((time.perf_counter() - started) * 1000, 2)
        assert len(packs) == plan.num_batches
    return figures


def main() -> None:
    """Print a table, and at last all figures as one JSON line."""
    parser = argparse.ArgumentParser(description="What packing saves against padding")
    parser.add_argument("--samples", type=int, default=131_072)
    parser.add_argument("--full", action="store_true", help="plan 10 million samples too")
    options = parser.parse_args()
    if options.samples < RANKS * PER_RANK:
        parser.error(f"--samples: expected at least {RANKS * PER_RANK}, one step, got {options.samples}; give more")
    figures: dict[str, dict[str, float]] = {}
    if options.full:  # first: peak memory is that of the process so far
        figures["planning"] = measure_planning(10_000_000)
        print(*(f"{name} {value:,}" for name, value in figures["planning"].items()), sep="\n", end="\n\n")
    print(
        f"{'':48} {'tokens':>7} {'waiting':>8} {'FLOPs w.':>8} {'max/mean':>9} {'worst':>6} {'tiles':>6} {'passes':>7}"
    )
    for tile_tokens in (256, 16):
        for policy, row in compare(options.samples, tile_tokens):
            name = f"{policy}, tile of {tile_tokens}"
            figures[name] = row
            values = list(row.values())
            print(f"{name:48} {values[0]:7.3f} {values[1]:8.3f} {values[2]:8.3f} {values[3]:9.3f}", end=" ")
            print(f"{values[4]:6.2f} {values[5]:6.3f}", *(f"{value:7.0f}" for value in values[6:]))
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
