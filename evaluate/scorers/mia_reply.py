"""A judge's reply to MIA-Bench: the scores of the components and the total, read as published and read with patience.

Rule of Apple's notebook at 5422852, `process_rawscore`: the words before the first period, split at commas; what stands
behind a colon and one more character is a fraction of whole numbers, and the last one is the total. Labels are not
looked at. Anything else drops the item.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_NUMBER = r"([-+]?\d{1,9}(?:\.\d{1,9})?)"
_FRACTION = rf"{_NUMBER}(?:\s{{0,3}}/\s{{0,3}}{_NUMBER})?"
_COMPONENT = re.compile(
    rf"component\s{{0,3}}#?\s{{0,3}}(\d)\b[^\d\n:=/]{{0,60}}[:=-]\s{{0,3}}{_FRACTION}", re.IGNORECASE
)
_TOTAL = re.compile(rf"total(?:\s{{1,3}}score)?(?:\s{{1,3}}is)?\s{{0,3}}[:=-]?\s{{0,3}}{_FRACTION}", re.IGNORECASE)
_MARKS = str.maketrans({"*": None, "`": None, "_": " ", "\uff1a": ":", "\u2013": "-", "\u2014": "-", "\u2212": "-"})


@dataclass(frozen=True, slots=True)
class MiaScores:
    """What a reply says, each as a part of one: the components in the order of the item, and the total."""

    components: tuple[float, ...]
    total: float

    def name(self, kinds: Sequence[str]) -> dict[str, float]:
        """The published scores: of components of one kind only the last counts."""
        return {**dict(zip(kinds, self.components, strict=False)), "total_score": self.total}


def read_scores(reply: str, most: int) -> MiaScores | None:
    """The published reading; None where it drops the item.

    Args:
        reply: of the judge.
        most: the components of the item; fewer scores are taken as those of the first ones.

    Example:
        >>> read_scores("score of component 1: 3/6, score of component 2: 4/4, total score: 7/10. Good.", 2)
        MiaScores(components=(0.5, 1.0), total=0.7)
        >>> read_scores("score of component 1: 3.5/6, total score: 7/10.", 2)
    """
    segments = reply.split(".", 1)[0].split(",")
    if not 2 <= len(segments) <= most + 1:
        return None
    try:
        *components, total = map(_read_fraction, segments)
    except (ValueError, IndexError, ArithmeticError):
        return None
    return MiaScores(tuple(components), total)


def _read_fraction(segment: str) -> float:
    # int() takes signs, spaces, underscores and the digits of all scripts, as published.
    parts = segment.split(":")[1][1:].split("/")
    return int(parts[0]) / int(parts[1])


def read_patiently(reply: str, weights: Sequence[int]) -> MiaScores | None:
    """Scores by their labels: decimals, marks, line breaks and lead-ins do not matter; None without all of them.

    Args:
        reply: of the judge.
        weights: of the components; taken where a score stands without what it is out of.

    Example:
        >>> read_patiently("Here:\\n- **Component 1**: 3.5/7\\n- **Component 2**: 3\\n**Total score: 6.5/10**", [7, 3])
        MiaScores(components=(0.5, 1.0), total=0.65)
    """
    text = reply.translate(_MARKS)
    found: dict[int, float | None] = {}
    for number, points, out_of in _COMPONENT.findall(text):
        place = int(number) - 1
        if 0 <= place < len(weights):
            found.setdefault(place, _divide(points, out_of, weights[place]))
    said = _TOTAL.search(text)
    total = _divide(said[1], said[2] or "", sum(weights)) if said else None
    components = [found.get(place) for place in range(len(weights))]
    if total is None or None in components:
        return None
    return MiaScores(tuple(score for score in components if score is not None), total)


def _divide(points: str, out_of: str, weight: int) -> float | None:
    whole = float(out_of) if out_of else float(weight)
    return float(points) / whole if whole else None
