"""MileBench's needles and MMCoQA: the right answer stands in the model's.

Rule of MileBench at 9583e1f, `Eval.evaluate_needle`, on cleaned texts: a needle has to be one of the words between
spaces, so that `#4255900` and `4255900.0` are wrong; of MMCoQA any part of the text will do, so that `red` is right
where `hundred` was said. `accuracy_strict` wants the answer's words one after the other, whole and in their order,
whatever punctuation stands around them; a number may be written with separators of thousands and with a decimal of
zero. Where the right answer has no word, none is right. Under either rule other words do no harm.
"""

from __future__ import annotations

import re

from evaluate.scorer import MeanScorer
from evaluate.scorers.milebench_target import MilebenchTarget, list_levels
from evaluate.scorers.milebench_text import join_words, process

NEEDLE = "NeedleInAHaystack"
"""Part of the names of the two datasets whose answers are words."""
# A comma, an apostrophe or a space before three digits, and a decimal of zero.
_SEPARATOR = re.compile(r"(?<=\d)[,' \u2019\u00a0\u2009\u202f](?=\d{3}(?!\d))|(?<=\d)\.0+(?!\d)")


def score_needle(prediction: str, target: MilebenchTarget) -> float:
    """The published rule, 0.0 or 1.0."""
    said, right = process(prediction), process(target.answer)
    return float(right in said.split() if NEEDLE in target.dataset else right in said)


def score_needle_strictly(prediction: str, target: MilebenchTarget) -> float:
    """The strict rule, 0.0 or 1.0."""
    right = join_words(target.answer)
    if not right:
        return 0.0
    if right in join_words(prediction):
        return 1.0
    return float(target.answer.strip().isdecimal() and right in join_words(_SEPARATOR.sub("", prediction)))


def milebench_needle() -> MeanScorer:
    """The scorer: the published mean in percent, over all and per level of pictures, and the strict one."""
    return MeanScorer(
        "milebench_needle",
        score_needle,
        primary="Accuracy",
        groups=list_levels,
        beside={"accuracy_strict": score_needle_strictly},
    )
