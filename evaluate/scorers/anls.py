"""ANLS: how near an answer is to the nearest accepted one, by edit distance; less than half of it right is wrong.

Rule of DocVQA and InfographicVQA (`infographicsvqa_eval.py`, threshold 0.5, in InternVL at tag v1.2.2 and later; the
server has the same). Texts are compared in lower case with single spaces, and the distance is divided by the longer of
the two texts as they were given: white space around an answer makes it better.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from evaluate.scorer import MeanScorer

THRESHOLD = 0.5


@dataclass(frozen=True, slots=True)
class ANLSTarget:
    """What is accepted as the answer to one question.

    Attributes:
        answers: all accepted ones.
        groups: `kind=value` names for the breakdown.
    """

    answers: tuple[str, ...]
    groups: tuple[str, ...] = ()


@lru_cache(maxsize=2**16)
def normalize_spaces(text: str) -> str:
    """Lower case, and single spaces."""
    return " ".join(text.lower().split())


def score_anls(prediction: str, target: ANLSTarget) -> float:
    """Value in 0..1; a question without accepted answers, where the original stops, cannot be right.

    Example:
        >>> score_anls("12%", ANLSTarget(("12",))), score_anls("ab", ANLSTarget(("xy", "ac")))
        (0.6666666666666667, 0.5)
    """
    from rapidfuzz.distance.Levenshtein import distance  # lists of names must not wait for it

    said, length_said = normalize_spaces(prediction), len(prediction.upper())
    least = 1.0
    for answer in target.answers:
        wanted = normalize_spaces(answer)
        if said == wanted:
            return 1.0
        length = max(length_said, len(answer.upper()))
        # Texts so different in length are too far apart, whatever stands in them.
        if abs(len(said) - len(wanted)) <= length * (1 - THRESHOLD):
            least = min(least, distance(said, wanted) / length)
    similarity = 1 - least
    return similarity if similarity >= THRESHOLD else 0.0


def anls() -> MeanScorer:
    """The scorer: `anls` in percent, over all and per group."""
    return MeanScorer("anls", score_anls, primary="anls", groups=lambda target: target.groups)
