"""Headline intervals: the same number whichever way a scorer offers it, and always that of the headline."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from evaluate import interval
from evaluate.headline import bound_gain, bound_headline, has_sums
from evaluate.scorer import MeanScorer, Scorer, Scores
from evaluate.scorers.exact_match import exact_match, score_exact_match


class GroupMean:
    """The mean over words of how often each was right: no mean of samples."""

    name, primary, higher_is_better = "group_mean", "balanced", True

    def __call__(self, predictions: Sequence[str], targets: Sequence[Any]) -> Scores:
        samples = tuple(map(score_exact_match, predictions, targets))
        rates = [
            math.fsum(value for value, wanted in zip(samples, targets, strict=True) if wanted == word)
            / targets.count(word)
            for word in sorted(set(targets))
        ]
        return Scores({"accuracy": 1.0, "balanced": 100 * sum(rates) / len(rates)}, samples)


class SummedGroupMean(GroupMean):
    """The same from sums: right and all, for each of two words."""

    def statistics(self, predictions: Sequence[str], targets: Sequence[Any]) -> Any:
        return [
            [value * (wanted == "a"), float(wanted == "a"), value * (wanted == "b"), float(wanted == "b")]
            for value, wanted in zip(map(score_exact_match, predictions, targets), targets, strict=True)
        ]

    def combine(self, sums: Any) -> Any:
        return 50 * (sums[..., 0] / sums[..., 1] + sums[..., 2] / sums[..., 3])


@pytest.fixture(autouse=True)
def fewer_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interval, "DRAWS", 500)


def draw(seed: int, right: float) -> tuple[list[str], list[str], list[str]]:
    generator = np.random.default_rng(seed)
    targets = ["a" if number % 5 else "b" for number in range(200)]
    other = {"a": "b", "b": "a"}
    chance = generator.random(200)
    predictions = [t if c < right - 0.5 * (t == "b") else other[t] for t, c in zip(targets, chance, strict=True)]
    return predictions, targets, [str(number // 2) for number in range(200)]


def bound(scorer: Scorer, seed: int = 0) -> tuple[float, float]:
    predictions, targets, clusters = draw(seed, 0.8)
    bounds = bound_headline(scorer, predictions, targets, scorer(predictions, targets).samples, clusters)
    assert bounds is not None
    return bounds


def test_interval_is_about_the_headline_and_not_about_the_samples() -> None:
    predictions, targets, _ = draw(0, 0.8)
    balanced = GroupMean()(predictions, targets).metrics["balanced"]
    accuracy = exact_match()(predictions, targets).metrics["accuracy"]
    low, high = bound(GroupMean())
    assert low < balanced < high < accuracy, "the mean of samples lies outside"
    low, high = bound(exact_match())
    assert low < accuracy < high


def test_sums_and_scoring_again_agree() -> None:
    assert has_sums(SummedGroupMean())
    assert not has_sums(GroupMean())
    fast, slow = bound(SummedGroupMean()), bound(GroupMean())
    assert slow == pytest.approx(fast, abs=0.15 * (fast[1] - fast[0]))


def test_mean_keeps_its_scale_and_leaves_unscored_samples_out() -> None:
    share = MeanScorer("share", score_exact_match, scale=1.0)
    assert bound(share) == pytest.approx([value / 100 for value in bound(exact_match())])
    picky = MeanScorer("picky", lambda text, wanted: None if wanted == "b" else score_exact_match(text, wanted))
    assert bound(picky)[0] > bound(exact_match())[0]


@pytest.mark.parametrize("scorer", [exact_match(), SummedGroupMean(), GroupMean()])
def test_gain_is_the_difference_of_headlines_on_the_same_samples(scorer: Scorer) -> None:
    first, targets, clusters = draw(0, 0.7)
    second, _, _ = draw(0, 0.95)
    both = scorer(first, targets), scorer(second, targets)
    gain = both[1].metrics[scorer.primary] - both[0].metrics[scorer.primary]
    bounds = bound_gain(scorer, (first, second), targets, (both[0].samples, both[1].samples), clusters)
    assert bounds is not None
    assert 0 < bounds[0] < gain < bounds[1]
    alike = bound_gain(scorer, (first, first), targets, (both[0].samples, both[0].samples), clusters)
    assert alike == (0.0, 0.0)


def test_sample_that_one_system_has_no_score_for_stays_out_of_its_mean_alone() -> None:
    values = (1.0, 0.0, None, None), (1.0, 1.0, 1.0, None)
    bounds = bound_gain(exact_match(), ([], []), [], values, ["a", "b", "c", "d"])
    assert bounds == bound_gain(exact_match(), ([], []), [], (values[0][:3], values[1][:3]), ["a", "b", "c"])
    assert bounds is not None
    assert bounds[1] > 0


def test_a_scorer_whose_headline_is_a_mean_is_not_asked_again() -> None:
    class Mean(GroupMean):
        primary, scale_of_mean = "accuracy", 100.0

        def statistics(self, predictions: Sequence[str], targets: Sequence[Any]) -> Any:
            raise AssertionError("the values of the samples are known")

    predictions, targets, clusters = draw(0, 0.8)
    values = [score_exact_match(said, wanted) for said, wanted in zip(predictions, targets, strict=True)]
    expected = bound_headline(exact_match(), predictions, targets, values, clusters)
    assert bound_headline(Mean(), predictions, targets, values, clusters) == expected
