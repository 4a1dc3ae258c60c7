"""SEED-Bench: the first character of an answer is its letter; accuracy over pictures, videos and twelve types.

Rule of InternVL at tag v1.2.2, `calculation.py`; nothing is stripped, so that ` A` is wrong. The headline is the
accuracy over pictures (types 1 to 9). `exact_accuracy` is printed by `evaluate_seed.py`: the answer is the letter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from evaluate.scorer import Scores
from evaluate.scorers.choice import Options, average, read_letter_strictly

TYPES = {
    **{1: "Scene Understanding", 2: "Instance Identity", 3: "Instance Attributes", 4: "Instance Location"},
    **{5: "Instances Counting", 6: "Spatial Relation", 7: "Instance Interaction", 8: "Visual Reasoning"},
    **{9: "Text Understanding", 10: "Action Recognition", 11: "Action Prediction", 12: "Procedure Understanding"},
}
_LAST_OF_PICTURES = 9


@dataclass(frozen=True, slots=True)
class SeedTarget:
    """The right letter, the number of the question's type, and the options."""

    answer: str
    question_type: int
    options: Options

    @property
    def is_picture(self) -> bool:
        """Whether the question is about a picture, and not about a video."""
        return self.question_type <= _LAST_OF_PICTURES


@dataclass(frozen=True, slots=True)
class SeedScorer:
    """Accuracy in percent."""

    name: str = "seed"
    primary: str = "image_accuracy"
    higher_is_better: bool = True

    def __call__(self, predictions: Sequence[str], targets: Sequence[SeedTarget]) -> Scores:
        """Score all answers; nan for a part without questions."""
        rows = list(zip(predictions, targets, strict=True))
        samples = tuple(float(text[:1] == target.answer) for text, target in rows)
        pictures = [target.is_picture for target in targets]
        strict = [read_letter_strictly(text, target.options) == target.answer for text, target in rows]
        metrics = {
            "image_accuracy": average([value for value, kept in zip(samples, pictures, strict=True) if kept]),
            "video_accuracy": average([value for value, kept in zip(samples, pictures, strict=True) if not kept]),
            "total_accuracy": average(samples),
            "exact_accuracy": average([text == target.answer for text, target in rows]),
            "image_accuracy_corrected": average([v for v, kept in zip(strict, pictures, strict=True) if kept]),
        }
        members: dict[int, list[float]] = {}
        for value, target in zip(samples, targets, strict=True):
            members.setdefault(target.question_type, []).append(value)
        for number in sorted(members):
            metrics[f"accuracy/{TYPES.get(number, number)}"] = average(members[number])
        unparsed = sum(text[:1] not in target.options for text, target in rows)
        return Scores(metrics, samples, num_unparsed=unparsed)

    def statistics(self, predictions: Sequence[str], targets: Sequence[SeedTarget]) -> list[tuple[float, float]]:
        """Right answers and answers, both about pictures."""
        return [
            (float(text[:1] == target.answer), 1.0) if target.is_picture else (0.0, 0.0)
            for text, target in zip(predictions, targets, strict=True)
        ]

    def combine(self, sums: Any) -> Any:
        """Percent of the sums."""
        return 100 * sums[..., 0] / sums[..., 1]
