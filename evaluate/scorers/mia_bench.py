"""MIA-Bench: how well answers follow layered instructions, as the mean of the totals that a judge stated.

Rule of Apple's notebook at 5422852, `get_score_dict`, which is the headline and `score_official`: an item whose reply
is not read as published counts nowhere, and neither does one without an answer. `score_strict` counts them as nothing.
`score_tolerant` reads replies with patience, and `score_recomputed` adds the components up by their weights.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from evaluate.scorer import Scores
from evaluate.scorers.judged import JudgedScorer, average, covered, is_good, strict, value
from evaluate.scorers.mia_reply import MiaScores, read_patiently, read_scores

KINDS = ("describe", "mention", "length_limit", "linguistics", "grammar", "textual", "math", "perspective")
"""The columns of the published table."""
DIFFERENT = 0.05
"""A stated total that is further from the sum of its components is counted."""


@dataclass(frozen=True, slots=True)
class MiaTarget:
    """An instruction taken apart.

    Attributes:
        instruction: as the model is asked it.
        type: of the instruction: basic, intermediate, advanced, complex or creative.
        components: its parts.
        weights: the points of each.
        kinds: the type of each; one may stand there more than once.
    """

    instruction: str
    type: str
    components: tuple[str, ...]
    weights: tuple[int, ...]
    kinds: tuple[str, ...]


def read_verdict(said: str, target: MiaTarget) -> MiaScores | None:
    """The scores of a good verdict."""
    return read_scores(said, len(target.kinds)) if is_good(said) else None


def recompute(scores: MiaScores, target: MiaTarget) -> float:
    """The total as the components add up, of those that the judge scored."""
    weights = target.weights[: len(scores.components)]
    return math.fsum(map(float.__mul__, scores.components, map(float, weights))) / sum(weights)


def average_official(verdicts: Sequence[str], targets: Sequence[MiaTarget]) -> dict[str, tuple[float, int]]:
    """The published means, between 0 and 1, and how many items stand behind each: the total and the kinds."""
    found: dict[str, list[float]] = {}
    for said, target in zip(verdicts, targets, strict=True):
        scores = read_verdict(said, target)
        for name, score in scores.name(target.kinds).items() if scores else ():
            found.setdefault(name, []).append(score)
    return {name: (average(scores), len(scores)) for name, scores in found.items()}


def average_repeated(verdicts: Sequence[str], targets: Sequence[MiaTarget]) -> dict[str, float]:
    """Means per kind where an item's components of one kind are averaged first, and none is overwritten."""
    found: dict[str, list[float]] = {}
    for said, target in zip(verdicts, targets, strict=True):
        members: dict[str, list[float]] = {}
        scores = read_verdict(said, target)
        for kind, score in zip(target.kinds, scores.components if scores else (), strict=False):
            members.setdefault(kind, []).append(score)
        for kind, parts in members.items():
            found.setdefault(kind, []).append(average(parts))
    return {kind: average(scores) for kind, scores in found.items()}


class MiaScorer(JudgedScorer):
    """Mean of the stated totals in percent, with the published means per kind of component."""

    __slots__ = ()

    def __call__(self, predictions: Sequence[str], targets: Sequence[MiaTarget]) -> Scores:
        """Score all verdicts."""
        scores = super().__call__(predictions, targets)
        published = average_official(predictions, targets)
        names = sorted(name for name in published if name != "total_score")
        metrics = dict(scores.metrics)
        metrics |= {f"score/component={name}": 100 * published[name][0] for name in names}
        metrics |= {f"num/component={name}": float(published[name][1]) for name in names}
        repeated = average_repeated(predictions, targets)
        metrics |= {f"score_averaged/component={name}": 100 * repeated[name] for name in names}
        metrics |= {f"num/type={name}": float(count) for name, count in count_types(predictions, targets).items()}
        metrics["num_sums_differ"] = float(count_differing(predictions, targets))
        return replace(scores, metrics=metrics)


def count_types(verdicts: Sequence[str], targets: Sequence[MiaTarget]) -> Mapping[str, int]:
    """How many items of each type are scored."""
    counts = dict.fromkeys(sorted({target.type for target in targets}), 0)
    for said, target in zip(verdicts, targets, strict=True):
        counts[target.type] += read_verdict(said, target) is not None
    return counts


def count_differing(verdicts: Sequence[str], targets: Sequence[MiaTarget]) -> int:
    """Items whose stated total is not what the components add up to."""
    read = [(read_verdict(said, target), target) for said, target in zip(verdicts, targets, strict=True)]
    return sum(scores is not None and abs(scores.total - recompute(scores, t)) > DIFFERENT for scores, t in read)


def mia_bench() -> MiaScorer:
    """The scorer."""
    return MiaScorer(
        "mia-bench",
        value(_read_total),
        primary="score",
        groups=lambda target: (f"type={target.type}",),
        beside={
            "score_official": lambda said, target: _read_total(said, target) if is_good(said) else None,
            "score_strict": strict(_read_total),
            "score_recomputed": _read_recomputed,
            "score_tolerant": _read_tolerant,
            "coverage": covered(_read_total),
            "coverage_tolerant": lambda said, target: float(_read_tolerant(said, target) is not None),
        },
    )


def _read_total(said: str, target: Any) -> float | None:
    scores = read_scores(said, len(target.kinds))
    return scores.total if scores else None


def _read_recomputed(said: str, target: Any) -> float | None:
    scores = read_verdict(said, target)
    return recompute(scores, target) if scores else None


def _read_tolerant(said: str, target: Any) -> float | None:
    """A verdict that could not be read as published may be read here, so its status does not matter."""
    scores = read_patiently(said, target.weights)
    return scores.total if scores else None
