"""VQA accuracy: how many human annotators, usually ten, gave the predicted answer, under three published protocols.

The protocols differ only in which side is normalised and when, and that alone moves scores by points: name the protocol
with every number. Test sets with hidden answers are scored by the `official` one.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import lru_cache

from evaluate.scorer import MeanScorer

# The tables and the rules of `normalize` are those of GT-Vision-Lab/VQA, vqaEval.py, at commit a013f00.
PUNCTUATION = frozenset(';/[]"{}()=+\\_-><@`,?!')
_DIGITS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
NUMBER_WORDS = {"none": "0", "zero": "0"} | {word: str(number) for number, word in enumerate(_DIGITS, start=1)}
ARTICLES = frozenset({"a", "an", "the"})

# A word written without its apostrophe gets it back. The published table also holds I'm, I've and I'd've, which never
# apply, because words are lower-cased before they are looked up, and two words that it maps to themselves.
_ONE_APOSTROPHE = """
    ain't aren't can't could've couldn't didn't doesn't don't hadn't hasn't haven't he'd he's how'd how'll how's isn't
    it'd it'll ma'am mightn't might've mustn't must've needn't not've o'clock oughtn't shan't should've shouldn't
    somebody'll somebody's someone'd someone'll someone's something'd something'll that's there'd there're there's
    they'd they'll they're they've 'twas wasn't we've weren't what'll what're what's what've when's where'd where's
    where've who'd who'll who's who've why'll why're why's won't would've wouldn't y'all you'd you'll you're you've
"""
_TWO_APOSTROPHES = """
    couldn't've hadn't've he'd've it'd've mightn't've she'd've shouldn't've somebody'd've someone'd've something'd've
    there'd've they'd've we'd've who'd've wouldn't've y'all'll you'd've
"""
CONTRACTIONS = (
    {word.replace("'", ""): word for word in _ONE_APOSTROPHE.split()}
    | {word.replace("'", "", 1): word for word in _TWO_APOSTROPHES.split()}
    | {"".join(word.rsplit("'", 1)): word for word in _TWO_APOSTROPHES.split()}
    | {"somebody'd": "somebodyd"}
    | dict.fromkeys(("ow's'at", "'ows'at", "'ow'sat"), "'ow's'at")
    | dict.fromkeys(("yall'd've", "y'alld've", "y'all'dve"), "y'all'd've")
)

_COMMA_IN_NUMBER = re.compile(r"\d,\d")
# The published pattern means to look behind for a digit and mistypes it, so only the digit after the period counts.
_LOOSE_PERIOD = re.compile(r"\.(?!\d)")
# The published call passes re.UNICODE (32) where `sub` takes the largest number of replacements.
_MAX_LOOSE_PERIODS = 32
_CACHE_SIZE = 2**17
_NUM_M4C_ANSWERS = 10


@dataclass(frozen=True, slots=True)
class VQATarget:
    """What the annotators said about one question.

    Attributes:
        answers: one answer per annotator.
        question_type, answer_type: groups for the breakdown; empty for none.
        annotators: identity of each annotator; empty means that all differ, which is what the rule intends. The
            published scripts leave out every annotation *equal* to the one in turn, so in files without `answer_id`
            people who agree drop out together, and a unanimous question scores 0. Equal values here repeat that.
    """

    answers: tuple[str, ...]
    question_type: str = ""
    answer_type: str = ""
    annotators: tuple[Hashable, ...] = ()

    def __post_init__(self) -> None:
        if self.annotators and len(self.annotators) != len(self.answers):
            raise ValueError(
                f"annotators: expected one per answer ({len(self.answers)}), got {len(self.annotators)}; "
                "leave the field empty where every annotator is another person"
            )


@lru_cache(maxsize=_CACHE_SIZE)
def join_lines(text: str) -> str:
    """The text on one line, without white space around it."""
    return text.replace("\n", " ").replace("\t", " ").strip()


@lru_cache(maxsize=_CACHE_SIZE)
def strip_punctuation(text: str) -> str:
    """Remove punctuation that touches a space, turn the rest into spaces, and drop periods that no digit follows.

    A comma inside a number, anywhere in the text, makes all punctuation disappear without a space.

    Example:
        >>> strip_punctuation("t-shirt, U.S.A."), strip_punctuation("wi-fi 2,400")
        ('t shirt USA', 'wifi 2400')
    """
    marks = PUNCTUATION.intersection(text)
    if marks:
        has_number = _COMMA_IN_NUMBER.search(text) is not None
        glued = {mark: has_number or f"{mark} " in text or f" {mark}" in text for mark in marks}
        text = text.translate({ord(mark): "" if glued[mark] else " " for mark in marks})
    return _LOOSE_PERIOD.sub("", text, count=_MAX_LOOSE_PERIODS)


@lru_cache(maxsize=_CACHE_SIZE)
def normalize(text: str) -> str:
    """The full clean-up of the VQA authors: punctuation, lower case, number words, articles, lost apostrophes.

    Example:
        >>> normalize("The two dogs dont bark."), normalize("None"), normalize("A")
        ("2 dogs don't bark", '0', '')
    """
    words = (NUMBER_WORDS.get(word, word) for word in strip_punctuation(join_lines(text)).lower().split())
    return " ".join(CONTRACTIONS.get(word, word) for word in words if word not in ARTICLES)


@lru_cache(maxsize=_CACHE_SIZE)
def normalize_m4c(text: str) -> str:
    """The clean-up of MMF's M4C, which takes commas and question marks out first and sets the genitive apart.

    Example:
        >>> normalize_m4c("Joe's, one?"), normalize("Joe's, one?")
        ("joe 's 1", "joe's 1")
    """
    return normalize(text.lower().replace(",", "").replace("?", "").replace("'s", " 's"))


def score_lavis(prediction: str, target: VQATarget) -> float:
    """Value in 0..1 by `vqa_eval.py` of InternVL v1.2.2 (from LAVIS): only the prediction is fully normalised."""
    answers = target.answers
    if len(set(answers)) > 1:
        answers = tuple(map(strip_punctuation, answers))
    return _leave_one_out(normalize(prediction), answers, target.annotators)


def score_official(prediction: str, target: VQATarget) -> float:
    """Value in 0..1 by `vqaEval.py` of the VQA authors: unanimous annotators are compared literally."""
    said, answers = join_lines(prediction), tuple(map(join_lines, target.answers))
    if len(set(answers)) > 1:
        said, answers = normalize(said), tuple(map(normalize, answers))
    return _leave_one_out(said, answers, target.annotators)


def score_m4c(prediction: str, target: VQATarget) -> float:
    """Value in 0..1 by `textvqa_eval.py` of InternVL in 2025 (from MMF): both sides are always normalised.

    The original stops at a question without exactly ten answers; here such a question counts as wrong.
    """
    if len(target.answers) != _NUM_M4C_ANSWERS:
        return 0.0
    return _leave_one_out(normalize_m4c(prediction), tuple(map(normalize_m4c, target.answers)))


def _leave_one_out(said: str, answers: tuple[str, ...], annotators: tuple[Hashable, ...] = ()) -> float:
    """Mean over annotators of min(1, matches among the others / 3), without the loop over pairs."""
    num_matches = answers.count(said)
    if not num_matches:
        return 0.0
    if annotators:
        matching = Counter(who for who, answer in zip(annotators, answers, strict=True) if answer == said)
        inside = sum(count * min(1.0, (num_matches - count) / 3) for count in matching.values())
    else:
        inside = num_matches * min(1.0, (num_matches - 1) / 3)
    outside = (len(answers) - num_matches) * min(1.0, num_matches / 3)
    return (inside + outside) / len(answers)


RULES: dict[str, Callable[[str, VQATarget], float]] = {
    "internvl-v1.2": score_lavis,
    "official": score_official,
    "internvl-later": score_m4c,
}
"""The rule of each protocol."""


def vqa_accuracy(protocol: str = "internvl-v1.2") -> MeanScorer:
    """The scorer of a protocol: `accuracy` in percent, over all and per question type and answer type.

    What the other protocols give for the same answers stands beside it, as `accuracy@protocol`.

    Raises:
        ValueError: the protocol is unknown.
    """
    if protocol not in RULES:
        raise ValueError(f"protocol: expected one of {', '.join(RULES)}, got {protocol!r}; choose one of these")
    beside = {f"accuracy@{other}": rule for other, rule in RULES.items() if other != protocol}
    return MeanScorer(f"vqa_accuracy@{protocol}", RULES[protocol], groups=_name_groups, beside=beside)


def _name_groups(target: VQATarget) -> tuple[str, ...]:
    types = {"question_type": target.question_type, "answer_type": target.answer_type}
    return tuple(f"{key}={value}" for key, value in types.items() if value)
