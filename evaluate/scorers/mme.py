"""MME: yes or no, two questions about each picture; accuracy, pairs with both right, and sums over the categories.

Rule of InternVL at tag v1.2.2 and of the authors, `eval.py` and `calculation.py`: the first four characters of the
cleaned answer decide. The answer goes through a table of tabs, where one with a tab in it is lost: it counts for no
accuracy, and its pair is not right. `perception_corrected` and `cognition_corrected` read yes and no anywhere in the
answer, and nothing is lost.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from evaluate.scorer import Scores
from evaluate.scorers.yes_no import read_yes

PERCEPTION = (
    *("existence", "count", "position", "color", "posters", "celebrity", "scene", "landmark", "artwork", "OCR"),
)
COGNITION = ("commonsense_reasoning", "numerical_calculation", "text_translation", "code_reasoning")
CATEGORIES = (*PERCEPTION, *COGNITION)
_CHINESE = re.compile("[\u4e00-\u9fa5]")
Label = Literal["yes", "no", "other"]


@dataclass(frozen=True, slots=True)
class MmeTarget:
    """The right answer, and the pair that the question belongs to."""

    positive: bool
    category: str
    picture: str


@dataclass(slots=True)
class _Tally:
    """Counts of one category."""

    hits: int = 0
    asked: int = 0
    pairs: dict[str, bool] = field(default_factory=dict)

    def measure(self) -> tuple[float, float]:
        """Accuracy and accuracy of pairs."""
        return self.hits / self.asked if self.asked else 0.0, sum(self.pairs.values()) / len(self.pairs)


def clean_answer(text: str) -> str:
    """The answer as the published code writes it into its table.

    Example:
        >>> clean_answer("Yes,\\nit is"), clean_answer("不是"), clean_answer("True是的")
        ('yes,it is', 'no', 'yesyes')
    """
    text = text.replace("\n", "").replace("不是", "No").replace("是", "Yes").replace("否", "No").lower()
    return _CHINESE.sub("", text.replace("true", "yes").replace("false", "no"))


def read_label(text: str) -> Label:
    """What the first four characters of a cleaned answer say; in two letters or three, `yes` and `no` themselves.

    Example:
        >>> read_label("yes, there is"), read_label("not sure"), read_label("the answer is yes")
        ('yes', 'no', 'other')
    """
    start = text[:4].lower()
    return "yes" if "yes" in start else "no" if "no" in start else "other"


@dataclass(frozen=True, slots=True)
class MmeScorer:
    """Sums over categories of accuracy plus accuracy of pairs in percent: 2000 points of perception, 800 of cognition.

    Attributes:
        clean: answers are as the model gave them; False for those of a published result file, which are clean.
    """

    clean: bool = True
    name: str = "mme"
    primary: str = "perception"
    higher_is_better: bool = True

    def __call__(self, predictions: Sequence[str], targets: Sequence[MmeTarget]) -> Scores:
        """Score all answers; a sum is nan where one of its categories has no question."""
        judged = [self._judge(text, target) for text, target in zip(predictions, targets, strict=True)]
        read = [None if hit is None else float(hit) for hit, _ in judged]
        corrected = [read_yes(text) is target.positive for text, target in zip(predictions, targets, strict=True)]
        tallies, fixed = _count(read, targets), _count(corrected, targets)
        measured = {name: tally.measure() for name, tally in tallies.items()}
        metrics = {
            "perception": _add(tallies, PERCEPTION),
            "cognition": _add(tallies, COGNITION),
            "total": _add(tallies, CATEGORIES),
            "perception_corrected": _add(fixed, PERCEPTION),
            "cognition_corrected": _add(fixed, COGNITION),
        }
        for name, (accuracy, pairs) in measured.items():
            metrics |= {
                f"score/{name}": 100 * (accuracy + pairs),
                f"accuracy/{name}": 100 * accuracy,
                f"accuracy_plus/{name}": 100 * pairs,
            }
        samples = tuple(0.0 if hit is None else hit for hit in read)
        return Scores(metrics, samples, num_unparsed=sum(label == "other" for _, label in judged))

    def statistics(self, predictions: Sequence[str], targets: Sequence[MmeTarget]) -> list[list[float]]:
        """Per category: hits, questions, right pairs and pairs; a pair stands at its first question."""
        hits = [self._judge(text, target)[0] for text, target in zip(predictions, targets, strict=True)]
        pairs = {
            (name, key): right for name, tally in _count(hits, targets).items() for key, right in tally.pairs.items()
        }
        rows = []
        for hit, target in zip(hits, targets, strict=True):
            row = [0.0] * (4 * len(CATEGORIES))
            right = pairs.pop((target.category, target.picture), None)
            place = 4 * CATEGORIES.index(target.category)
            row[place : place + 4] = (float(hit or 0), hit is not None, right or 0, right is not None)
            rows.append(row)
        return rows

    def combine(self, sums: Any) -> Any:
        """The points of perception; nan where a category has no question."""
        import numpy as np

        hits, asked, right, pairs = (sums[..., place : 4 * len(PERCEPTION) : 4] for place in range(4))
        accuracy = np.where(asked > 0, hits / np.maximum(asked, 1), 0.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            return 100 * (accuracy + right / pairs).sum(axis=-1)

    def _judge(self, text: str, target: MmeTarget) -> tuple[bool | None, Label]:
        """Whether an answer is right, and what it says; None is one that the table loses."""
        said = clean_answer(text) if self.clean else text
        if "\t" in said:
            return None, "other"
        label = read_label(said)
        return label == ("yes" if target.positive else "no"), label


def _count(hits: Sequence[float | bool | None], targets: Sequence[MmeTarget]) -> dict[str, _Tally]:
    tallies: dict[str, _Tally] = {}
    for hit, target in zip(hits, targets, strict=True):
        tally = tallies.setdefault(target.category, _Tally())
        tally.asked += hit is not None
        tally.hits += bool(hit)
        tally.pairs[target.picture] = tally.pairs.get(target.picture, True) and bool(hit)
    return {name: tallies[name] for name in sorted(tallies)}


def _add(tallies: dict[str, _Tally], names: Sequence[str]) -> float:
    if not all(name in tallies for name in names):
        return math.nan
    return math.fsum(100 * part for name in names for part in tallies[name].measure())
