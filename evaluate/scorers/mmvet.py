"""MM-Vet: the mean of grades between 0 and 1 that a judge gave, per capability and per combination of capabilities.

Rule of the authors, `mm-vet_evaluator.py`, as `score_official`: an answer that the judge gave no grade in six calls has
the grade 0. A verdict holds one grade per run of grading, separated by spaces.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from evaluate.scorer import NoAnswer, Scores
from evaluate.scorers.judged import JudgedScorer, average, covered, strict, value

CAPABILITIES = ("rec", "ocr", "know", "gen", "spat", "math")
NO_GRADE = "-"
"""Stands in a verdict for a run of grading that failed."""


@dataclass(frozen=True, slots=True)
class MmvetTarget:
    """What the judge reads beside the answer, and the capabilities that the question needs."""

    question: str
    answer: str
    capabilities: tuple[str, ...]

    @property
    def combination(self) -> str:
        """The published name of all of them together."""
        return "_".join(sorted(self.capabilities))


def read_grade(reply: str) -> float | None:
    """The grade before the first space of a reply; None where it is none, as `nan`, which the authors let pass.

    Example:
        >>> [read_grade(reply) for reply in ("0.5", "0.5 because", "0.5.", " 0.5", "1.2", "nan")]
        [0.5, 0.5, None, None, None, None]
    """
    try:
        grade = float(reply.split(" ", 1)[0].strip())
    except ValueError:
        return None
    return grade if 0.0 <= grade <= 1.0 else None


def read_grades(said: str) -> list[float | None]:
    """The grades of a verdict, one per run."""
    return [read_grade(grade) for grade in said.split()]


def average_runs(said: str, target: Any) -> float | None:
    """The mean over runs; None where one of them gave no grade."""
    grades = read_grades(said)
    return None if not grades or None in grades else average(grades)


def average_official(said: str, target: Any) -> float:
    """The mean over runs, where no grade is the grade 0."""
    grades = [] if isinstance(said, NoAnswer) else read_grades(said)
    return average([grade or 0.0 for grade in grades]) if grades else 0.0


def spread_runs(grades: Sequence[Sequence[float]]) -> tuple[list[float], float]:
    """The means of the runs in percent and their population standard deviation, of one list of grades per sample."""
    means = [100 * average(run) for run in zip(*grades, strict=True)]
    return means, statistics.pstdev(means) if means else 0.0


class MmvetScorer(JudgedScorer):
    """Mean grade in percent; with several runs of grading also how far they are apart."""

    __slots__ = ()

    def __call__(self, predictions: Sequence[str], targets: Sequence[Any]) -> Scores:
        """Score all verdicts."""
        scores = super().__call__(predictions, targets)
        stored = [read_grades(said) for said in predictions]
        runs = max(map(len, stored), default=0)
        if runs < 2:
            return scores
        grades = [[grade or 0.0 for grade in (*said, *[None] * runs)][:runs] for said in stored]
        return replace(scores, metrics={**scores.metrics, "score_official_spread": spread_runs(grades)[1]})


def mmvet() -> MmvetScorer:
    """The scorer; a sample counts for each of its capabilities, and for their combination."""
    return MmvetScorer(
        "mmvet",
        value(average_runs),
        primary="score",
        groups=_list_groups,
        beside={
            "score_official": average_official,
            "score_strict": strict(average_runs),
            "coverage": covered(average_runs),
        },
    )


def _list_groups(target: MmvetTarget) -> Iterator[str]:
    yield from (f"capability={name}" for name in dict.fromkeys(target.capabilities))
    yield f"combination={target.combination}"
