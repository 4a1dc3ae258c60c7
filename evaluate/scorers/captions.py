"""Caption metrics: CIDEr in front, BLEU-1 to BLEU-4 and ROUGE-L beside it, on the tokens of the Penn Treebank.

The numbers are those of pycocoevalcap 1.2 without its Java programs, times 100.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from evaluate.scorer import Scores
from evaluate.scorers.bleu import combine_matches, count_matches
from evaluate.scorers.cider import ORDERS, Grams, count_grams, score_cider
from evaluate.scorers.ptb_tokens import tokenize
from evaluate.scorers.rouge_l import score_rouge_l

_tokenize = lru_cache(maxsize=2**16)(tokenize)


@dataclass(frozen=True, slots=True)
class CaptionTarget:
    """What people wrote under one picture.

    Attributes:
        references: one or more.
        domain: gets a CIDEr of its own, as if there were no other pictures; empty for none.
    """

    references: tuple[str, ...]
    domain: str = ""


@dataclass(frozen=True, slots=True)
class CaptionScorer:
    """All captions at once, because CIDEr counts over all references which words are rare.

    Its interval takes the value of each picture as given: the weights of words do not vary with the draw.

    Attributes:
        scale_of_mean: the headline number is the mean of the values of the pictures.
    """

    name: str = "captions"
    primary: str = "CIDEr"
    scale_of_mean: float = 1.0
    higher_is_better: bool = True

    def __call__(self, predictions: Sequence[str], targets: Sequence[CaptionTarget]) -> Scores:
        """Score all captions; a picture without references has no score."""
        pictures = self._read(predictions, targets)
        values = _compare(pictures)
        metrics = {self.primary: _average(values)}
        for domain in sorted({target.domain for target in targets} - {""}):
            inside = [picture for picture, target in zip(pictures, targets, strict=True) if target.domain == domain]
            metrics[f"{self.primary}/{domain}"] = _average(_compare(inside))
        scored = [picture for picture in pictures if picture.references]
        counts = [count_matches(picture.grams, picture.reference_grams) for picture in scored]
        bleu = combine_matches([*map(sum, zip(*counts, strict=True))]) if counts else [math.nan] * ORDERS
        metrics |= {f"BLEU-{order}": 100 * value for order, value in enumerate(bleu, start=1)}
        # Split at single spaces, so that a caption without words has one, and it is empty.
        rouge = [
            score_rouge_l(picture.caption.split(" "), [text.split(" ") for text in picture.references])
            for picture in scored
        ]
        metrics["ROUGE-L"] = _average([100 * value for value in rouge])
        metrics["average_length"] = _average([float(len(text.split())) for text in predictions])
        return Scores(metrics, tuple(values), num_unparsed=sum(not picture.caption for picture in pictures))

    def statistics(self, predictions: Sequence[str], targets: Sequence[CaptionTarget]) -> list[tuple[float, float]]:
        """The value of each picture, and that there is one."""
        values = _compare(self._read(predictions, targets))
        return [(0.0, 0.0) if value is None else (value, 1.0) for value in values]

    def combine(self, sums: Any) -> Any:
        """The mean value."""
        return sums[..., 0] / sums[..., 1]

    def _read(self, predictions: Sequence[str], targets: Sequence[CaptionTarget]) -> list[_Picture]:
        if len(predictions) != len(targets):
            raise ValueError(
                f"{self.name}: expected one target per caption, got {len(predictions)} captions and {len(targets)} "
                "targets; pass both in the same order"
            )
        pictures = []
        for text, target in zip(predictions, targets, strict=True):
            caption, references = _tokenize(text), tuple(map(_tokenize, target.references))
            grams = count_grams(caption.split())
            pictures.append(_Picture(caption, references, grams, [count_grams(words.split()) for words in references]))
        return pictures


@dataclass(frozen=True, slots=True)
class _Picture:
    """Tokens of the caption and of the references, and their phrases."""

    caption: str
    references: tuple[str, ...]
    grams: Grams
    reference_grams: list[Grams]


def _compare(pictures: Sequence[_Picture]) -> list[float | None]:
    """CIDEr of each picture; None without references."""
    scored = [picture for picture in pictures if picture.references]
    values = iter(score_cider([picture.grams for picture in scored], [picture.reference_grams for picture in scored]))
    return [100 * next(values) if picture.references else None for picture in pictures]


def _average(values: Sequence[float | None]) -> float:
    scored = [value for value in values if value is not None]
    return math.fsum(scored) / len(scored) if scored else math.nan
