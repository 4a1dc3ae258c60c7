"""MileBench's multiple choice: the option that an answer is taken for, and accuracy.

Rule of MileBench at 9583e1f, `Eval.judge_multi_choice`, on cleaned texts: an empty answer is taken for C, any part of a
word may be an option (`image12` is `image1`), options with a decimal or one of `$ ^ * |` are not found by their text,
and failing all else the letters of all words count (`The answer is A` is `AA` and wrong). `accuracy_strict` reads
answers as `milebench_choice_strict` says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from evaluate.scorer import MeanScorer, NoAnswer, Scores
from evaluate.scorers.milebench_choice_strict import name_keys, read_choice_strictly
from evaluate.scorers.milebench_target import MilebenchTarget, list_levels
from evaluate.scorers.milebench_text import process

_EMPTY = "C"  # what nothing is taken for
_CACHE_SIZE = 2**14
# What the published rule escapes in options, and then compares with texts without escapes; cleaning has no other left.
_ESCAPED = frozenset(r"\.^$*+?{}[]|()")


@dataclass(frozen=True, slots=True)
class _Options:
    """Options as the published rule compares them.

    Attributes:
        keys: of each option.
        texts: after the clean-up.
        lettered: each with its key before it.
        joined: each without its spaces.
    """

    keys: tuple[str, ...]
    texts: tuple[str, ...]
    lettered: tuple[str, ...]
    joined: tuple[str, ...]


def read_choice(text: str, options: tuple[str, ...]) -> str:
    """The published reading: a key, several letters in a row, or nothing.

    Example:
        >>> options = ("1", "10", "3.5")
        >>> [read_choice(text, options) for text in ("B", "10", "3.5", "c 3.5", "I think B or C", "")]
        ['B', 'A', '', 'C', 'BC', 'C']
    """
    said = process(text)
    if not said:
        return _EMPTY
    known = _prepare(options)
    place = _find_first(said, known.lettered)
    if place is not None:
        return known.lettered[place][0].upper()
    place = _find_first(said.replace(" ", ""), known.joined)
    if place is not None and _ESCAPED.isdisjoint(known.joined[place]):
        return known.keys[place]
    if len(said) <= 2 and said.upper() in known.keys:
        return said.upper()
    return "".join(sign for sign in map(str.upper, said) if sign in known.keys)


def score_choice(prediction: str, target: MilebenchTarget) -> float:
    """The published rule, 0.0 or 1.0; where no option is right, neither is any answer."""
    known, right = _prepare(target.options), process(target.answer)
    if right not in known.texts:
        return 0.0
    return float(read_choice(prediction, target.options) == known.keys[known.texts.index(right)])


def score_choice_strictly(prediction: str, target: MilebenchTarget) -> float:
    """The strict rule, 0.0 or 1.0; of options that say the same, any may be named."""
    place = read_choice_strictly(prediction, target.options)
    return float(place is not None and _prepare(target.options).texts[place] == process(target.answer))


def is_unread(prediction: str, target: MilebenchTarget) -> bool:
    """Whether neither rule finds an option in an answer; that nothing is C was not found in it."""
    if isinstance(prediction, NoAnswer) or not process(prediction):
        return True
    return not read_choice(prediction, target.options) and read_choice_strictly(prediction, target.options) is None


class MilebenchChoiceScorer(MeanScorer):
    """The published mean in percent, and how many answers could not be read."""

    __slots__ = ()

    def __call__(self, predictions: Sequence[str], targets: Sequence[MilebenchTarget]) -> Scores:
        """Score all answers."""
        scores = super().__call__(predictions, targets)
        return replace(scores, num_unparsed=sum(map(is_unread, predictions, targets)))


def milebench_choice() -> MilebenchChoiceScorer:
    """The scorer: the published mean in percent, over all and per level of pictures, and the strict one."""
    return MilebenchChoiceScorer(
        "milebench_choice",
        score_choice,
        primary="Accuracy",
        groups=list_levels,
        beside={"accuracy_strict": score_choice_strictly},
    )


@lru_cache(maxsize=_CACHE_SIZE)
def _prepare(options: tuple[str, ...]) -> _Options:
    keys, texts = name_keys(len(options)), tuple(map(process, options))
    # The published rule cleans the clean texts again, which takes more away where a text had very many periods.
    lettered = tuple(process(f"{key} {text}") for key, text in zip(keys, texts, strict=True))
    return _Options(keys, texts, lettered, tuple(process(text).replace(" ", "") for text in texts))


def _find_first(text: str, parts: Sequence[str]) -> int | None:
    """Which of the parts stands first in a text, the earlier part where two begin together."""
    first, found = len(text) + 1, None
    for place, part in enumerate(parts):
        if not first:
            break
        start = text.find(part, 0, first + len(part) - 1)
        if start >= 0:
            first, found = start, place
    return found
