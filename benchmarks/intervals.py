"""How often 95 % intervals cover the truth: simulated for a mean, a ratio, a corpus metric and a paired difference.

`python -m benchmarks.intervals` draws sets of 50, 200 and 1000 pictures with one to four questions each, whose answers
are right together more often than apart, and counts how many intervals of `evaluate/interval.py` hold the true value.
The truth is what the metric tends to on a very large set. `--plain` measures the plain percentile interval beside it;
`--speed` takes the time for 214,354 samples.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluate import interval
from evaluate.interval import Bounds, bound_difference, bound_mean, bound_score, bound_sums

Floats = NDArray[np.float64]
COUNTS = (50, 200, 1000)


def draw_clusters(generator: np.random.Generator, count: int) -> NDArray[np.int64]:
    """The picture of every question: one to four questions per picture."""
    return np.repeat(np.arange(count), generator.integers(1, 5, count))


def draw_answers(generator: np.random.Generator, clusters: NDArray[np.int64], right: float = 0.7) -> Floats:
    """Right or wrong, alike inside of a picture."""
    rates = generator.beta(3 * right, 3 * (1 - right), clusters[-1] + 1)
    return (generator.random(len(clusters)) < rates[clusters]).astype(np.float64)


def combine_mean(sums: Floats) -> Any:
    """Percent right."""
    return 100 * sums[..., 0] / sums[..., 1]


def combine_f1(sums: Floats) -> Any:
    """F1 in percent of (true positives, false positives, false negatives)."""
    return 200 * sums[..., 0] / (2 * sums[..., 0] + sums[..., 1] + sums[..., 2])


def draw_detections(generator: np.random.Generator, clusters: NDArray[np.int64]) -> Floats:
    """True positives, false positives and false negatives of yes-or-no answers, of which 30 % should be yes."""
    positive = draw_answers(generator, clusters, 0.3)
    right = draw_answers(generator, clusters, 0.75)
    return np.column_stack([positive * right, (1 - positive) * (1 - right), positive * (1 - right)])


def score_groups(values: Floats, groups: NDArray[np.int64]) -> float:
    """The mean of group means: a metric of the whole list that is no mean over samples."""
    totals, numbers = np.bincount(groups, values, 3), np.bincount(groups, minlength=3)
    return float(100 * np.mean(totals[numbers > 0] / numbers[numbers > 0]))


def simulate_mean(generator: np.random.Generator, count: int) -> tuple[Bounds | None, float]:
    """The mean, and what it should be."""
    clusters = draw_clusters(generator, count)
    return bound_mean(draw_answers(generator, clusters).tolist(), clusters.tolist()), 70.0


def simulate_high_mean(generator: np.random.Generator, count: int) -> tuple[Bounds | None, float]:
    """A mean near its upper end, and what it should be."""
    clusters = draw_clusters(generator, count)
    return bound_mean(draw_answers(generator, clusters, 0.98).tolist(), clusters.tolist()), 98.0


def simulate_ratio(generator: np.random.Generator, count: int) -> tuple[Bounds | None, float]:
    """F1, and what it should be: 0.3 of the answers are positive and 0.75 right, whichever they are."""
    clusters = draw_clusters(generator, count)
    bounds = bound_sums(draw_detections(generator, clusters), clusters.tolist(), combine_f1)
    return bounds, float(combine_f1(np.array([0.3 * 0.75, 0.7 * 0.25, 0.3 * 0.25])))


def simulate_corpus(generator: np.random.Generator, count: int) -> tuple[Bounds | None, float]:
    """The mean of group means by scoring drawn lists again, and what it should be."""
    clusters = draw_clusters(generator, count)
    groups = generator.choice(3, len(clusters), p=(0.6, 0.3, 0.1))
    # A group is right as often as another would be, less a fixed part of its answers.
    kept = generator.random(len(clusters)) < np.array([1.0, 0.8, 0.6])[groups]
    values = draw_answers(generator, clusters) * kept
    draws = min(interval.DRAWS, 500)
    bounds = bound_score(lambda chosen: score_groups(values[chosen], groups[chosen]), clusters.tolist(), draws=draws)
    return bounds, 70 * (1 + 0.8 + 0.6) / 3


def simulate_difference(generator: np.random.Generator, count: int) -> tuple[Bounds | None, float]:
    """The second system keeps 90 % of the first one's right answers and mends 40 % of its wrong ones."""
    clusters = draw_clusters(generator, count)
    first, chance = draw_answers(generator, clusters), generator.random(len(clusters))
    second = np.where(first > 0, chance < 0.9, chance < 0.4).astype(np.float64)
    ones = np.ones(len(clusters))
    rows = np.column_stack([first, ones]), np.column_stack([second, ones])
    return bound_difference(*rows, clusters.tolist(), combine_mean), 100 * (0.7 * 0.9 + 0.3 * 0.4) - 70


Simulate = Callable[[np.random.Generator, int], tuple[Bounds | None, float]]
KINDS: dict[str, Simulate] = {
    "mean": simulate_mean,
    "mean of 98": simulate_high_mean,
    "ratio": simulate_ratio,
    "corpus": simulate_corpus,
    "difference": simulate_difference,
}


def measure_coverage(simulate: Simulate, count: int, repeats: int, seed: int = 0) -> float:
    """The share of intervals, in percent, that hold the truth."""
    generator = np.random.default_rng(seed)
    covered = 0
    for _ in range(repeats):
        bounds, truth = simulate(generator, count)
        covered += bounds is not None and bounds[0] <= truth <= bounds[1]
    return 100 * covered / repeats


def find_plain_bounds(estimate: float, drawn: Floats, acceleration: float, clusters: int) -> Bounds | None:
    """The percentile interval without any correction."""
    low, high = np.nanquantile(drawn, (0.025, 0.975))
    return float(low), float(high)


def measure_speed() -> dict[str, float]:
    """CPU seconds for 214,354 samples about 40,504 pictures and 2000 draws."""
    generator = np.random.default_rng(0)
    clusters = generator.integers(0, 40_504, 214_354)
    names = [f"data/pictures/{number:012}.jpg" for number in clusters]
    answers = (generator.random(214_354) < 0.7).astype(np.float64)
    graded = generator.random(214_354)
    apart = [f"question {number}" for number in range(214_354)]
    detections = np.column_stack([answers, 1 - answers, graded > 0.5])
    runs: dict[str, Callable[[], object]] = {
        "mean, right or wrong": lambda: bound_mean(answers.tolist(), names),
        "mean, graded": lambda: bound_mean(graded.tolist(), names),
        "mean, graded, a picture each": lambda: bound_mean(graded.tolist(), apart),
        "ratio": lambda: bound_sums(detections, names, combine_f1),
        "difference, graded, a picture each": lambda: bound_difference(
            np.column_stack([answers, answers * 0 + 1]), np.column_stack([graded, answers * 0 + 1]), apart, combine_mean
        ),
    }
    seconds = {}
    for name, compute in runs.items():
        started = time.process_time()
        compute()
        seconds[name] = round(time.process_time() - started, 2)
    return seconds


def main(arguments: list[str]) -> int:
    """Print one line of JSON per measurement."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.intervals", description=__doc__)
    parser.add_argument("--repeats", type=int, default=2000, help="simulated sets per number (2000)")
    parser.add_argument("--kinds", nargs="*", default=list(KINDS), choices=list(KINDS))
    parser.add_argument("--clusters", type=int, nargs="*", default=list(COUNTS), help="pictures per set (50 200 1000)")
    parser.add_argument("--plain", action="store_true", help="the plain percentile interval instead")
    parser.add_argument("--speed", action="store_true", help="time 214,354 samples instead")
    options = parser.parse_args(arguments)
    if options.speed:
        print(json.dumps(measure_speed()))
        return 0
    if options.plain:
        interval._find_bounds = find_plain_bounds
    for kind in options.kinds:
        for count in options.clusters:
            covered = measure_coverage(KINDS[kind], count, options.repeats)
            print(json.dumps({"kind": kind, "clusters": count, "covered": covered}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
