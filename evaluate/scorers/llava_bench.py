"""LLaVA-Bench: the ratings of the model's answers over those of the reference's, both given by a judge, in percent.

Rule of InternVL at tag v1.2.2, `eval_gpt_review_bench.py` and `summarize_gpt_review.py`, as `score_official`: a review
without two ratings counts as -1 for both sides, and the ratio is one of means with three decimals. The headline leaves
such reviews out; `score_strict` gives the model nothing for them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from evaluate.scorer import NoAnswer, Scores
from evaluate.scorers.judged import average, count_unread, is_good

Pair = tuple[float, float]
CATEGORIES = ("conv", "detail", "complex")
FAILED: Pair = (-1.0, -1.0)


@dataclass(frozen=True, slots=True)
class LlavaTarget:
    """What the judge reads beside the answer, and the category that the question is counted in."""

    question: str
    context: str
    reference: str
    category: str


@dataclass(frozen=True, slots=True)
class Summary:
    """A published line: the means of both ratings, the ratio in percent, and the means times ten, all rounded."""

    means: Pair
    ratio: float
    tens: Pair


def read_pair(review: str) -> Pair | None:
    """The two ratings in the first line of a review, of the reference and of the model; None where there are not two.

    Example:
        >>> read_pair("8 9\\nBoth are good."), read_pair("8,9"), read_pair("8, 9"), read_pair("8/10 9/10")
        ((8.0, 9.0), (8.0, 9.0), None, None)
    """
    parts = review.split("\n", 1)[0].replace(",", " ").split(" ")
    try:
        first, second = map(float, parts)
    except ValueError:
        return None
    return first, second


def judge_pair(said: str) -> Pair | None:
    """The ratings of a good verdict; ratings that are no finite numbers are none."""
    pair = read_pair(said) if is_good(said) else None
    return pair if pair is not None and all(map(math.isfinite, pair)) else None


def summarize(pairs: Sequence[Pair]) -> Summary:
    """The published numbers of a group; nan without pairs, and where the reference's mean is zero."""
    first, second = (round(average([pair[side] for pair in pairs]), 3) for side in range(2))
    ratio = round(second / first * 100, 1) if first else math.nan
    return Summary((first, second), ratio, (round(first * 10, 1), round(second * 10, 1)))


@dataclass(frozen=True, slots=True)
class LlavaScorer:
    """The ratio of means, over all questions and per category."""

    name: str = "llava-bench"
    primary: str = "score"
    higher_is_better: bool = True

    def __call__(self, predictions: Sequence[str], targets: Sequence[LlavaTarget]) -> Scores:
        """Score all verdicts; a sample's value is the model's rating over ten."""
        rows = self.statistics(predictions, targets)
        groups = {"": list(range(len(rows)))}
        for category in CATEGORIES:
            if members := [place for place, target in enumerate(targets) if target.category == category]:
                groups[f"/{category}"] = members
        metrics = {f"score{name}": _divide(_add(rows, members)) for name, members in groups.items()}
        published = {name: [_publish(predictions[place]) for place in members] for name, members in groups.items()}
        metrics |= {f"score_official{name}": summarize(pairs).ratio for name, pairs in published.items()}
        reference, judged, model, _ = _add(rows, groups[""])
        metrics["score_strict"] = _divide((reference, judged, model, len(rows)))
        metrics["coverage"] = 100 * judged / len(rows) if rows else math.nan
        for name, members in groups.items():
            reference, judged, model, answered = _add(rows, members)
            metrics[f"rating_reference{name}"] = 10 * reference / judged if judged else math.nan
            metrics[f"rating_model{name}"] = 10 * model / answered if answered else math.nan
        samples = tuple(row[2] / 10 if row[3] else None for row in rows)
        return Scores(metrics, samples, num_unparsed=count_unread(predictions))

    def statistics(self, predictions: Sequence[str], targets: Sequence[Any]) -> list[tuple[float, float, float, float]]:
        """Ratings of the reference and how many, ratings of the model and how many; no answer is rated nothing."""
        rows = []
        for said, _ in zip(predictions, targets, strict=True):
            pair = judge_pair(said)
            model, failed = (pair[1] if pair else 0.0), isinstance(said, NoAnswer)
            rows.append((pair[0] if pair else 0.0, float(pair is not None), model, float(pair is not None or failed)))
        return rows

    def combine(self, sums: Any) -> Any:
        """The ratio of means in percent; nothing of the unknown is nothing."""
        import numpy as np

        reference, judged, model, answered = (sums[..., place] for place in range(4))
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = 100 * (model / answered) / (reference / judged)
        return np.where((judged == 0) & (answered > 0), 0.0, np.where(reference == 0, np.nan, ratio))


def _publish(said: str) -> Pair:
    """The pair as the published code writes it down."""
    pair = None if isinstance(said, NoAnswer) else read_pair(said)
    return FAILED if pair is None else pair


def _add(
    rows: Sequence[tuple[float, float, float, float]], members: Sequence[int]
) -> tuple[float, float, float, float]:
    first, second, third, fourth = (math.fsum(rows[member][place] for member in members) for place in range(4))
    return first, second, third, fourth


def _divide(sums: tuple[float, float, float, float]) -> float:
    reference, judged, model, answered = sums
    if judged == 0 and answered > 0:
        return 0.0
    return 100 * (model / answered) / (reference / judged) if judged and reference else math.nan
