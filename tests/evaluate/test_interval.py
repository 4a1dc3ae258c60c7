"""Bootstrap intervals over clusters: known cases, and how often they cover the true mean."""

from __future__ import annotations

import random

import numpy as np
import pytest

from evaluate import interval
from evaluate.interval import bootstrap_interval


def width(bounds: tuple[float, float] | None) -> float:
    assert bounds is not None
    return bounds[1] - bounds[0]


def draw_answers(seed: int, pictures: int = 60) -> tuple[list[float], list[str]]:
    """One to four questions per picture that are right together more often than apart; 60 % are right."""
    generator = np.random.default_rng(seed)
    values, clusters = [], []
    for picture in range(pictures):
        rate = generator.beta(1.2, 0.8)
        for _ in range(generator.integers(1, 5)):
            values.append(float(generator.random() < rate))
            clusters.append(str(picture))
    return values, clusters


def test_same_values_give_the_same_interval() -> None:
    values, clusters = draw_answers(0)
    assert bootstrap_interval(values, clusters) == bootstrap_interval(values, clusters)
    assert bootstrap_interval(values, clusters, seed=1) != bootstrap_interval(values, clusters)


def test_order_of_samples_cannot_change_a_digit() -> None:
    generator = random.Random(0)
    rows = [(generator.uniform(0, 1), str(number // 5)) for number in range(100)]
    expected = bootstrap_interval([v for v, _ in rows], [c for _, c in rows])
    for _ in range(5):
        generator.shuffle(rows)
        assert bootstrap_interval([v for v, _ in rows], [c for _, c in rows]) == expected


def test_interval_encloses_the_mean_and_stays_in_range() -> None:
    values, clusters = draw_answers(0)
    bounds = bootstrap_interval(values, clusters)
    assert bounds is not None
    assert 0 < bounds[0] < 100 * sum(values) / len(values) < bounds[1] < 100


def test_scale_multiplies_the_bounds() -> None:
    values, clusters = draw_answers(0)
    percent, share = bootstrap_interval(values, clusters), bootstrap_interval(values, clusters, scale=1.0)
    assert percent is not None
    assert share is not None
    assert percent == pytest.approx([100 * bound for bound in share])


def test_answers_that_repeat_inside_a_picture_count_once() -> None:
    values = [float(number % 2) for number in range(50) for _ in range(4)]
    clusters = [str(number) for number in range(50) for _ in range(4)]
    together = bootstrap_interval(values, clusters)
    apart = bootstrap_interval(values, [str(number) for number in range(200)])
    # Four times fewer independent answers: twice the width.
    assert width(together) == pytest.approx(2 * width(apart), rel=0.15)
    assert together == bootstrap_interval(values[::4], clusters[::4])


def test_equal_values_have_an_interval_without_width() -> None:
    assert bootstrap_interval([1.0, 1.0, 1.0], ["a", "b", "c"]) == (100.0, 100.0)


@pytest.mark.parametrize(
    ("values", "clusters"),
    [([], []), ([1.0, 0.0], ["a", "a"]), ([1.0, None], ["a", "b"]), ([None, None], ["a", "b"])],
    ids=["no sample", "one cluster", "one scored cluster", "no scored sample"],
)
def test_fewer_than_two_clusters_have_no_interval(values: list[float | None], clusters: list[str]) -> None:
    assert bootstrap_interval(values, clusters) is None


def test_unscored_samples_stay_out() -> None:
    values, clusters = draw_answers(0)
    more: list[float | None] = [*values, None, None]
    assert bootstrap_interval(more, [*clusters, "0", "another"]) == bootstrap_interval(values, clusters)


def test_unequal_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        bootstrap_interval([1.0, 0.0], ["a"])


def test_interval_covers_the_true_mean_in_95_of_100_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interval, "_DRAWS", 300)
    covered = 0
    for seed in range(300):
        bounds = bootstrap_interval(*draw_answers(seed))
        assert bounds is not None
        covered += bounds[0] <= 60 <= bounds[1]
    assert 0.92 <= covered / 300 <= 0.98
