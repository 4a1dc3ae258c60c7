"""CIDEr: how much a caption has in common with those of people, rare phrases counting more.

The numbers are those of pycocoevalcap 1.2, whose `Cider` is the variant called CIDEr-D: phrases of one to four words,
clipped counts, and a penalty for another length. What is rare is counted over the pictures that are scored, so the
number of a part of a set cannot be compared with that of the whole.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from itertools import chain

ORDERS = 4
_SIGMA = 6.0

Grams = tuple[Counter[tuple[str, ...]], ...]


def count_grams(words: Sequence[str]) -> Grams:
    """How often each phrase of one, two, three and four words occurs."""
    shifted = [words[start:] for start in range(ORDERS)]
    return tuple(Counter(zip(*shifted[:order], strict=False)) for order in range(1, ORDERS + 1))


def score_cider(captions: Sequence[Grams], references: Sequence[Sequence[Grams]]) -> list[float]:
    """One value in 0..10 per picture.

    Args:
        captions: of the model, one per picture.
        references: of people, at least one per picture.

    Example:
        >>> pictures = [["a red bus"], ["two cats sleep"]]
        >>> score_cider([count_grams("a red bus".split()), count_grams("a dog".split())],
        ...             [[count_grams(text.split()) for text in texts] for texts in pictures])
        [7.5, 0.0]
    """
    pictures = Counter[tuple[str, ...]]()
    for texts in references:
        pictures.update(set(chain.from_iterable(chain.from_iterable(texts))))
    rarest = math.log(len(references)) if references else 0.0
    logarithms = [0.0, *map(math.log, range(1, len(references) + 1))]
    weights = {gram: rarest - logarithms[count] for gram, count in pictures.items()}
    return [_compare(caption, texts, weights, rarest) for caption, texts in zip(captions, references, strict=True)]


def _compare(caption: Grams, texts: Sequence[Grams], weights: dict[tuple[str, ...], float], rarest: float) -> float:
    weighted = [{gram: count * weights.get(gram, rarest) for gram, count in counts.items()} for counts in caption]
    norms = [math.sqrt(sum([value * value for value in values.values()])) for values in weighted]
    length = caption[1].total()
    total = 0.0
    for text in texts:
        penalty = math.exp(-((length - text[1].total()) ** 2) / (2 * _SIGMA**2))
        for counts, values, norm in zip(text, weighted, norms, strict=True):
            if not norm:
                continue
            square = sum([(count * weights[gram]) ** 2 for gram, count in counts.items()])
            if not square:
                continue
            product = 0.0
            for gram, value in values.items():  # in this order, or the last digit changes from run to run
                if gram in counts:
                    there = counts[gram] * weights[gram]
                    product += min(value, there) * there
            total += penalty * product / (norm * math.sqrt(square))
    return 10.0 * total / (ORDERS * len(texts))
