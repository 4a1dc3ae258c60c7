"""ROUGE-L of a caption: the longest sequence of words that it shares, in order, with one of people.

The numbers are those of pycocoevalcap 1.2: the best precision and the best recall may come from different references.
"""

from __future__ import annotations

from collections.abc import Sequence

_BETA = 1.2


def score_rouge_l(caption: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    """Value in 0..1; no list of words may be empty.

    Example:
        >>> round(score_rouge_l(["a", "red", "bus"], [["a", "big", "red", "bus"]]), 4)
        0.8356
    """
    places: dict[str, int] = {}
    for position, word in enumerate(caption):
        places[word] = places.get(word, 0) | 1 << position
    shared = [_count_shared(places, len(caption), text) for text in references]
    precision = max(shared) / len(caption)
    recall = max(count / len(text) for count, text in zip(shared, references, strict=True))
    if not precision or not recall:
        return 0.0
    return (1 + _BETA**2) * precision * recall / (recall + _BETA**2 * precision)


def _count_shared(places: dict[str, int], length: int, text: Sequence[str]) -> int:
    """Length of the longest common subsequence, a row of the table at a time as the bits of one number."""
    everything = (1 << length) - 1
    row = everything
    for word in text:
        matching = row & places.get(word, 0)
        row = (row + matching | row - matching) & everything
    return length - row.bit_count()
