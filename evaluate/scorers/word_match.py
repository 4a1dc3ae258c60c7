"""Word match: an accepted answer stands in the model's as whole words, after the clean-up of VQA.

Rule of Tiny LVLM-eHub in InternVL at tag v1.2.2, `eval/tiny_lvlm`; the headline is the sum of the accuracies of its
five abilities, so 500 at most. An accepted answer of which the clean-up leaves nothing (`a`, `[a]`) matches any word
there, and so it does here; `overall_strict` lets it match nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from evaluate.scorer import Scores
from evaluate.scorers.vqa_accuracy import normalize

ABILITIES = (
    "Visual_Reasoning",
    "Visual_Perception",
    "Visual_Knowledge_Acquisition",
    "Visual_Commonsense",
    "Object_Hallucination",
)


@dataclass(frozen=True, slots=True)
class AbilityTarget:
    """Accepted answers, and the ability that the question is about."""

    answers: tuple[str, ...]
    ability: str


def has_words(sentence: str, words: str) -> bool:
    """Whether words stand in a sentence with a border of a word at both ends.

    Example:
        >>> has_words("a red bus", "red"), has_words("bored", "red"), has_words("c++ code", "c++")
        (True, False, False)
    """
    start = sentence.find(words)
    while start >= 0:
        if _is_border(sentence, start) and _is_border(sentence, start + len(words)):
            return True
        start = sentence.find(words, start + 1)
    return False


def score_words(prediction: str, target: AbilityTarget) -> float:
    """1.0 where any accepted answer stands in the prediction, else 0.0."""
    said = normalize(prediction)
    return float(any(has_words(said, normalize(answer)) for answer in target.answers))


@dataclass(frozen=True, slots=True)
class AbilityScorer:
    """The sum of the accuracies of the abilities that there are questions about."""

    name: str = "word_match"
    primary: str = "overall"
    higher_is_better: bool = True

    def __call__(self, predictions: Sequence[str], targets: Sequence[AbilityTarget]) -> Scores:
        """Score all answers; a question about another ability is scored, and is no part of the sum."""
        if len(predictions) != len(targets):
            raise ValueError(
                f"{self.name}: expected one target per prediction, got {len(predictions)} predictions and "
                f"{len(targets)} targets; pass both in the same order"
            )
        values = tuple(map(score_words, predictions, targets))
        strict = [score_words(text, _drop_empty(target)) for text, target in zip(predictions, targets, strict=True)]
        accuracies = _average(values, targets)
        metrics = {self.primary: _add(accuracies), "overall_strict": _add(_average(strict, targets))}
        metrics |= {f"accuracy/{ability}": accuracies[ability] for ability in sorted(accuracies)}
        return Scores(metrics, values, num_unparsed=sum(not normalize(text) for text in predictions))

    def statistics(self, predictions: Sequence[str], targets: Sequence[AbilityTarget]) -> list[list[float]]:
        """Right answers and questions per ability."""
        rows = []
        for prediction, target in zip(predictions, targets, strict=True):
            row = [0.0] * (2 * len(ABILITIES))
            if target.ability in ABILITIES:
                place = ABILITIES.index(target.ability)
                row[place], row[len(ABILITIES) + place] = score_words(prediction, target), 1.0
            rows.append(row)
        return rows

    def combine(self, sums: Any) -> Any:
        """The sum of the accuracies."""
        right, asked = sums[..., : len(ABILITIES)], sums[..., len(ABILITIES) :]
        return (100 * right / (asked + (asked == 0))).sum(-1) / (asked.sum(-1) > 0)


def _drop_empty(target: AbilityTarget) -> AbilityTarget:
    return replace(target, answers=tuple(filter(normalize, target.answers)))


def _average(values: Sequence[float], targets: Sequence[AbilityTarget]) -> dict[str, float]:
    """Accuracy in percent per ability."""
    members: dict[str, list[float]] = {}
    for value, target in zip(values, targets, strict=True):
        members.setdefault(target.ability, []).append(value)
    return {ability: 100 * math.fsum(group) / len(group) for ability, group in members.items()}


def _add(accuracies: dict[str, float]) -> float:
    known = [accuracies[ability] for ability in ABILITIES if ability in accuracies]
    return math.fsum(known) if known else math.nan


def _is_border(text: str, place: int) -> bool:
    return _is_word(text[place - 1 : place] if place else "") != _is_word(text[place : place + 1])


def _is_word(sign: str) -> bool:
    return sign.isalnum() or sign == "_"
