"""Answers that repeat themselves: the published rule by which a training row is thrown away."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable


def ngram_repetition(text: str, n: int) -> float:
    """How many different runs of `n` words occur more than once, as a share of all runs of `n` words.

    A run counts once however often it occurs, so half is the most there can be, and one phrase said a hundred times
    has a low share: the rule finds long passages that are said twice.
    """
    words = text.split()
    counts = Counter(tuple(words[k : k + n]) for k in range(len(words) - n + 1))
    total = counts.total()
    return sum(count > 1 for count in counts.values()) / total if total else 0.0


def repeats_itself(answers: Iterable[str], threshold: float = 0.4, n: int = 10) -> bool:
    """Whether any of the answers of a row has more repetition than permitted."""
    return any(ngram_repetition(answer, n) > threshold for answer in answers)
