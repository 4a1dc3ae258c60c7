"""What a scorer is: a rule that turns the answers to a benchmark into named numbers, without model, torch or files.

A sample that the rule cannot judge is unscored (None) and stays out of every mean; it never counts as a silent zero.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol


class NoAnswer(str):
    """The text of a sample that failed: empty, and wrong even where a rule gives an empty answer the benefit of doubt.

    A rule that is no `MeanScorer` has to ask for it; `evaluate.run.score` makes sure that no failure is credited.
    """

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Scores:
    """What a scorer says about one benchmark.

    Attributes:
        metrics: the numbers to report, by name.
        samples: one value per sample in the order of the predictions; None for an unscored sample.
        num_unparsed: answers that the rule could not read and therefore counted as wrong.
        num_unscored: answers that are not in the headline: only a judge could score them, or the rule leaves them out.
    """

    metrics: Mapping[str, float]
    samples: tuple[float | None, ...]
    num_unparsed: int = 0
    num_unscored: int = 0


class Scorer(Protocol):
    """A rule for a whole benchmark; `primary` names the metric that stands in the results table."""

    @property
    def name(self) -> str: ...

    @property
    def primary(self) -> str: ...

    @property
    def higher_is_better(self) -> bool: ...

    def __call__(self, predictions: Sequence[str], targets: Sequence[Any]) -> Scores: ...


class SumScorer(Scorer, Protocol):
    """A scorer whose headline number is a function of sums over samples, such as F1, BLEU, or accuracy over pairs.

    Its interval then comes from the sums. Any other scorer that is no `MeanScorer` has to score thousands of drawn
    lists, and must count a sample that stands there twice as two: one that joins samples by a name in their targets
    cannot, and has to offer this.
    """

    def statistics(self, predictions: Sequence[str], targets: Sequence[Any]) -> Sequence[Sequence[float]]:
        """What each sample adds to each sum; what belongs to a group of samples stands at one of them."""

    def combine(self, sums: Any) -> Any:
        """The headline number of an array of sums (..., k), for all leading dimensions at once; nan where undefined."""


@dataclass(frozen=True, slots=True)
class MeanScorer:
    """The mean of a rule that judges one answer at a time.

    Attributes:
        name: the rule, with `@protocol` where several published rules carry the same name.
        rule: (prediction, target) -> value, or None where the sample cannot be scored.
        primary: the metric that holds the mean.
        scale: factor on every mean; 100 gives percent.
        groups: target -> names of the groups it belongs to; each group adds the metric `primary/group`.
        beside: other rules for the same samples; each adds the metric of its name, which never is the headline.

    Example:
        >>> scorer = MeanScorer("same_length", lambda prediction, target: float(len(prediction) == len(target)))
        >>> scorer(["cat", "bus"], ["dog", "ox"]).metrics
        {'accuracy': 50.0}
    """

    name: str
    rule: Callable[[str, Any], float | None]
    primary: str = "accuracy"
    scale: float = 100.0
    higher_is_better: bool = True
    groups: Callable[[Any], Iterable[str]] | None = None
    beside: Mapping[str, Callable[[str, Any], float | None]] = field(default_factory=dict, hash=False)

    def __call__(self, predictions: Sequence[str], targets: Sequence[Any]) -> Scores:
        """Score all answers; without a single scored sample the mean is nan.

        Raises:
            ValueError: predictions and targets differ in number.
        """
        if len(predictions) != len(targets):
            raise ValueError(
                f"{self.name}: expected one target per prediction, "
                f"got {len(predictions)} predictions and {len(targets)} targets; pass both in the same order"
            )
        samples = self._judge(self.rule, predictions, targets)
        members: dict[str, list[float | None]] = {}
        if self.groups is not None:
            for sample, target in zip(samples, targets, strict=True):
                for group in self.groups(target):
                    members.setdefault(group, []).append(sample)
        metrics = {self.primary: self._mean(samples)}
        metrics.update(
            (name, self._mean(self._judge(rule, predictions, targets))) for name, rule in self.beside.items()
        )
        metrics.update((f"{self.primary}/{group}", self._mean(members[group])) for group in sorted(members))
        return Scores(metrics, samples)

    @staticmethod
    def _judge(
        rule: Callable[[str, Any], float | None], predictions: Sequence[str], targets: Sequence[Any]
    ) -> tuple[float | None, ...]:
        values = tuple(map(rule, predictions, targets))
        if not any(issubclass(kind, NoAnswer) for kind in set(map(type, predictions))):
            return values
        judged = zip(values, predictions, strict=True)
        return tuple(0.0 if value is not None and isinstance(said, NoAnswer) else value for value, said in judged)

    def _mean(self, samples: Iterable[float | None]) -> float:
        scored = [sample for sample in samples if sample is not None]
        # fsum is exact before its one rounding, so the order in which ranks deliver samples cannot move a digit.
        return self.scale * math.fsum(scored) / len(scored) if scored else math.nan
