"""MMVP: pairs of questions about two pictures that look alike to CLIP; a pair counts where both answers are right.

Rule of InternVL at tag v1.2.2, `evaluate_mmvp.py`, which takes two lines of a file for a pair; here pairs have numbers.
`accuracy_relabelled` turns the answers around that others found to be labelled wrongly.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from evaluate.scorer import Scores
from evaluate.scorers.choice import Options, average, read_letter, read_letter_strictly


@dataclass(frozen=True, slots=True)
class MmvpTarget:
    """The right letter as published and as corrected, the options, and the number of the pair."""

    answer: str
    options: Options
    pair: int
    relabelled: str


@dataclass(frozen=True, slots=True)
class MmvpScorer:
    """Accuracy of pairs in percent; a question without its other one is in no pair."""

    name: str = "mmvp"
    primary: str = "accuracy"
    higher_is_better: bool = True

    def __call__(self, predictions: Sequence[str], targets: Sequence[MmvpTarget]) -> Scores:
        """Score all answers."""
        rows = [(_read(text, t), text, t) for text, t in zip(predictions, targets, strict=True)]
        samples = tuple(float(said == target.answer) for said, _, target in rows)
        strict = [read_letter_strictly(text, target.options) == target.answer for _, text, target in rows]
        metrics = {
            "accuracy": average([*judge_pairs(samples, targets).values()]),
            "single_accuracy": average(samples),
            "accuracy_corrected": average([*judge_pairs(strict, targets).values()]),
            "accuracy_relabelled": average([*judge_pairs((s == t.relabelled for s, _, t in rows), targets).values()]),
        }
        return Scores(metrics, samples, num_unparsed=sum(said not in t.options for said, _, t in rows))

    def statistics(self, predictions: Sequence[str], targets: Sequence[MmvpTarget]) -> list[tuple[float, float]]:
        """Right pairs and pairs; each stands at its first question."""
        hits = [_read(text, target) == target.answer for text, target in zip(predictions, targets, strict=True)]
        pairs = judge_pairs(hits, targets)
        found = [pairs.pop(target.pair, None) for target in targets]
        return [(float(right or 0), float(right is not None)) for right in found]

    def combine(self, sums: Any) -> Any:
        """Percent of the sums."""
        return 100 * sums[..., 0] / sums[..., 1]


def judge_pairs(hits: Iterable[float | bool], targets: Sequence[MmvpTarget]) -> dict[int, bool]:
    """Whether both answers are right, for each whole pair."""
    members: dict[int, list[bool]] = {}
    for hit, target in zip(hits, targets, strict=True):
        members.setdefault(target.pair, []).append(bool(hit))
    return {pair: all(both) for pair, both in members.items() if len(both) == 2}


def _read(text: str, target: MmvpTarget) -> str:
    return read_letter(text, target.options) if target.options else text
