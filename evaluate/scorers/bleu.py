"""BLEU-1 to BLEU-4 of captions, a function of sums over all of them.

The numbers are those of pycocoevalcap 1.2: the reference of the closest length counts, and nothing is smoothed but for
terms that keep it from dividing by zero.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from evaluate.scorers.cider import ORDERS, Grams

_TINY, _SMALL = 1e-15, 1e-9


def count_matches(caption: Grams, references: Sequence[Grams]) -> list[int]:
    """What a caption adds to the sums: its length, the closest reference's, then matches and phrases per order."""
    length = caption[0].total()
    closest = min((abs(text[0].total() - length), text[0].total()) for text in references)[1]
    sums = [length, closest]
    for order, counts in enumerate(caption):
        most = [text[order] for text in references]
        matches = sum(min(count, max([other.get(gram, 0) for other in most])) for gram, count in counts.items())
        sums += [matches, counts.total()]
    return sums


def combine_matches(sums: Sequence[float]) -> list[float]:
    """BLEU-1 to BLEU-4, in 0..1, of added sums.

    Example:
        >>> [round(value, 3) for value in combine_matches([4, 4, 4, 4, 3, 3, 1, 2, 0, 1])[:3]]
        [1.0, 1.0, 0.794]
    """
    length, closest, *counts = sums
    ratio = (length + _TINY) / (closest + _SMALL)
    brevity = math.exp(1 - 1 / ratio) if ratio < 1 else 1.0
    values, product = [], 1.0
    for order in range(1, ORDERS + 1):
        matches, phrases = counts[2 * order - 2 : 2 * order]
        product *= (matches + _TINY) / (phrases + _SMALL)
        values.append(brevity * product ** (1 / order))
    return values
