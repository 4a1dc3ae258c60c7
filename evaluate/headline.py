"""The interval of a scorer's headline number, and of the difference between two systems, whatever kind it is.

A mean is drawn from the scores themselves; a scorer that is no `MeanScorer` says so by `scale_of_mean`, the factor on
the mean of what it gives to the samples, and need not judge them again. A scorer with `statistics` and `combine` (see
`SumScorer`) is drawn from its sums. Any other is asked to score the drawn samples again, which is right for every
metric and slow for a slow rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeGuard

from evaluate.interval import Bounds, bound_difference, bound_mean, bound_score, bound_sums
from evaluate.scorer import MeanScorer, Scorer, SumScorer

Values = Sequence[float | None]


def bound_headline(
    scorer: Scorer, predictions: Sequence[str], targets: Sequence[Any], values: Values, clusters: Sequence[str]
) -> Bounds | None:
    """95 % bounds of `metrics[primary]`.

    Args:
        scorer: the rule.
        predictions, targets: one per sample.
        values: the scores of the samples, as the scorer gave them.
        clusters: what each sample shares with others.
    """
    scale = scorer.scale if isinstance(scorer, MeanScorer) else getattr(scorer, "scale_of_mean", None)
    if scale is not None:
        return bound_mean(values, clusters, scale=scale)
    if has_sums(scorer):
        return bound_sums(scorer.statistics(predictions, targets), clusters, scorer.combine)
    return bound_score(lambda chosen: _score(scorer, predictions, targets, chosen), clusters)


def bound_gain(
    scorer: Scorer,
    predictions: tuple[Sequence[str], Sequence[str]],
    targets: Sequence[Any],
    values: tuple[Values, Values],
    clusters: Sequence[str],
) -> Bounds | None:
    """95 % bounds of the second system's headline number minus the first's, over the same samples.

    Args:
        scorer, targets, clusters: as in `bound_headline`.
        predictions, values: of both systems. The predictions and targets of a mean are not looked at.
    """
    if isinstance(scorer, MeanScorer):
        scale = scorer.scale
        # A sample that neither system has a score for is no sample, and its picture is no cluster.
        kept = [position for position, pair in enumerate(zip(*values, strict=True)) if pair != (None, None)]
        first, second = (_weigh([side[position] for position in kept]) for side in values)
        names = [clusters[position] for position in kept]
        return bound_difference(first, second, names, lambda sums: scale * sums[..., 0] / sums[..., 1])
    if has_sums(scorer):
        rows = [scorer.statistics(side, targets) for side in predictions]
        return bound_difference(rows[0], rows[1], clusters, scorer.combine)
    before, after = predictions
    return bound_score(
        lambda chosen: _score(scorer, after, targets, chosen) - _score(scorer, before, targets, chosen), clusters
    )


def has_sums(scorer: Scorer) -> TypeGuard[SumScorer]:
    """Whether the headline number is a function of sums over samples."""
    return hasattr(scorer, "statistics") and hasattr(scorer, "combine")


def _weigh(values: Values) -> list[tuple[float, float]]:
    return [(0.0, 0.0) if value is None else (value, 1.0) for value in values]


def _score(scorer: Scorer, predictions: Sequence[str], targets: Sequence[Any], chosen: Sequence[int]) -> float:
    metrics = scorer([predictions[position] for position in chosen], [targets[position] for position in chosen]).metrics
    return metrics[scorer.primary]
