"""Math answers: what can be read out of an answer without a judge, and how it is compared with the right one.

Rules of MathVista in InternVL at tag v1.2.2, `eval/mathvista`, and in its version of 2025. A published table holds the
number of decimals as a float; `internvl-v1.2` rounds with it, fails, and counts every question after a decimal number
as wrong, `internvl-later` casts it to an integer first.

Three steps: an extraction is read out of an answer, by `extract_directly` or by a judge; it is normalised; it is
compared. `math_answer` scores the verdicts that hold extractions, `rule_only` the answers that need no judge.
"""

from __future__ import annotations

import math
import re
import string
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from rapidfuzz.distance.Levenshtein import distance

from evaluate.scorer import MeanScorer, NoAnswer, Scores
from evaluate.scorers.judged import JudgedScorer, Rule, covered, is_good, strict, value

PROTOCOLS = ("internvl-v1.2", "internvl-later")
_QUICK = {
    "internvl-v1.2": re.compile(r'The answer is "(.*)"\.'),
    "internvl-later": re.compile(r"(?:Final answer:|Answer:)\s*(.*)", re.IGNORECASE),
}
_LETTER = re.compile(r"\(([a-zA-Z])\)")


@dataclass(frozen=True, slots=True)
class MathTarget:
    """What is asked for.

    Attributes:
        answer: the right one; None where only the authors know.
        question_type: `multi_choice` or `free_form`.
        answer_type: `text`, `integer`, `float` or `list`.
        choices: of a question with choices.
        precision: decimals of a decimal number.
        groups: for the breakdown, such as `skills=algebraic reasoning`.
    """

    answer: str | None
    question_type: str
    answer_type: str
    choices: tuple[str, ...] = ()
    precision: float | None = None
    groups: tuple[str, ...] = ()


def needs_extraction(extraction: str | None) -> bool:
    """Whether nothing has been read out of an answer yet."""
    return not (extraction or "").strip()


def extract_directly(
    response: str, target: MathTarget, *, quick: bool = False, protocol: str = PROTOCOLS[0]
) -> str | None:
    """The answer in a response that is nothing else; None where a judge has to read it.

    Args:
        response: of the model.
        target: what is asked for.
        quick: also read responses of a known form; in the version of 2025 all that are left, as they are.
        protocol: whose form.

    Example:
        >>> extract_directly(" 14 ", MathTarget("14", "free_form", "integer"))
        '14'
        >>> extract_directly("It is 14.", MathTarget("14", "free_form", "integer")) is None
        True
    """
    if not response or (target.question_type == "multi_choice" and response in target.choices):
        return response
    try:
        if target.answer_type == "integer":
            return str(int(response))
        if target.answer_type == "float":
            return str(float(response))
    except ValueError:
        pass
    if quick:
        if found := _QUICK[protocol].search(response):
            return found[1].strip() if protocol == "internvl-later" else found[1]
        if protocol == "internvl-later":
            return response
    return None


def normalize_answer(extraction: Any, target: MathTarget, protocol: str = PROTOCOLS[0]) -> Any:
    """What is compared with the right answer; None for a number that is none.

    A choice is meant by its letter, or it is the one that differs in the fewest letters, whatever was said.

    Example:
        >>> normalize_answer("Answer (b)", MathTarget("No", "multi_choice", "text", ("Yes", "No")))
        'No'
        >>> normalize_answer("14.9", MathTarget("14", "free_form", "integer"))
        '14'
    """
    if target.question_type == "multi_choice":
        return _choose(str(extraction).strip(), target.choices)
    try:
        if target.answer_type == "integer":
            return str(int(float(extraction)))
        if target.answer_type == "float":
            return _round(float(extraction), target.precision, protocol)
    except (TypeError, ValueError, OverflowError):
        return None
    return str(extraction) if target.answer_type == "list" else extraction


def score_extraction(extraction: Any, target: MathTarget, protocol: str = PROTOCOLS[0]) -> float:
    """1.0 where the normalised answer is the right one to the letter, else 0.0."""
    return float(normalize_answer(extraction, target, protocol) == target.answer)


def is_nearest_choice(extraction: Any, target: MathTarget) -> bool:
    """Whether a choice is decided by the edit distance alone: neither its letter nor its text was said.

    Example:
        >>> is_nearest_choice("Yep", MathTarget("No", "multi_choice", "text", ("Yes", "No")))
        True
    """
    if target.question_type != "multi_choice":
        return False
    said = str(extraction).strip()
    return said not in target.choices and _find_letter(said, target.choices) is None


class MathScorer(JudgedScorer):
    """A mean over extractions, which also counts how they came about.

    `num_direct` were read by a rule, `num_by_judge` by a judge; `num_nearest_choice` of both are a choice by the edit
    distance alone.
    """

    __slots__ = ()

    def __call__(self, predictions: Sequence[str], targets: Sequence[MathTarget]) -> Scores:
        """Score all verdicts."""
        scores = super().__call__(predictions, targets)
        read = [(said, target) for said, target in zip(predictions, targets, strict=True) if is_good(said)]
        num_direct = sum(getattr(said, "is_direct", False) for said, _ in read)
        counts = {
            "num_direct": num_direct,
            "num_by_judge": len(read) - num_direct,
            "num_nearest_choice": sum(is_nearest_choice(said, target) for said, target in read),
        }
        return replace(scores, metrics={**scores.metrics, **counts})


class RuleOnlyScorer(MeanScorer):
    """A mean over answers that a rule can read; `num_nearest_choice` as in `MathScorer`."""

    __slots__ = ()

    def __call__(self, predictions: Sequence[str], targets: Sequence[MathTarget]) -> Scores:
        """Score all answers; `coverage` is the share of those that have been read, in percent."""
        scores = super().__call__(predictions, targets)
        nearest = num_read = 0
        for said, target in zip(predictions, targets, strict=True):
            extraction = extract_directly(said, target)
            num_read += extraction is not None
            nearest += (
                extraction is not None and not isinstance(said, NoAnswer) and is_nearest_choice(extraction, target)
            )
        counts = {
            "coverage": 100 * num_read / len(predictions) if predictions else math.nan,
            "num_nearest_choice": nearest,
        }
        return Scores({**scores.metrics, **counts}, scores.samples, num_unscored=len(predictions) - num_read)


def math_answer(protocol: str = PROTOCOLS[0]) -> MathScorer:
    """The scorer of what was read out of the answers: `accuracy` in percent, over all and per group.

    The published code takes an answer that the judge read nothing out of for an empty one, whose nearest choice may be
    right: `accuracy_official`. The number of the other protocol stands beside, as `accuracy@internvl-later`.

    Raises:
        ValueError: the protocol is unknown.
    """
    rules = _list_rules(protocol)
    rule, beside = rules.pop(protocol), {f"accuracy@{other}": value(rule) for other, rule in rules.items()}

    def rule_official(said: str, target: MathTarget) -> float | None:
        return rule(said if is_good(said) else "", target)

    beside |= {"accuracy_official": rule_official, "accuracy_strict": strict(rule), "coverage": covered(rule)}
    return MathScorer(f"math_answer@{protocol}", value(rule), groups=lambda target: target.groups, beside=beside)


def rule_only(protocol: str = PROTOCOLS[0]) -> RuleOnlyScorer:
    """The scorer of answers without a judge: those that one would have to read have no score.

    `accuracy_rule_only` is over the answers that are nothing but a number or a choice, and no published number.

    Raises:
        ValueError: the protocol is unknown.
    """

    def read_first(rule: Rule) -> Rule:
        def score(said: str, target: MathTarget) -> float | None:
            extraction = extract_directly(said, target)
            return None if extraction is None else rule(extraction, target)

        return score

    primary, rules = "accuracy_rule_only", _list_rules(protocol)
    headline = read_first(rules.pop(protocol))
    beside = {f"{primary}@{other}": read_first(rule) for other, rule in rules.items()}
    name = f"math_rule_only@{protocol}"
    return RuleOnlyScorer(name, headline, primary, groups=lambda target: target.groups, beside=beside)


def _list_rules(protocol: str) -> dict[str, Rule]:
    """How extractions are scored, by protocol; the wanted one is there."""
    if protocol not in PROTOCOLS:
        raise ValueError(f"protocol: expected one of {', '.join(PROTOCOLS)}, got {protocol!r}; choose one of these")
    return {name: partial(score_extraction, protocol=name) for name in PROTOCOLS}


def _choose(said: str, choices: Sequence[str]) -> str | None:
    if (place := _find_letter(said, choices)) is not None:
        return choices[place]
    if letters := _LETTER.findall(said):
        said = letters[0].upper()
    return min(choices, key=lambda choice: distance(choice, said), default=None)


def _find_letter(said: str, choices: Sequence[str]) -> int | None:
    """Which choice a letter stands for: one in brackets, or one that is all there is."""
    if letters := _LETTER.findall(said):
        said = letters[0].upper()
    place = string.ascii_uppercase.find(said) if len(said) == 1 else -1
    return place if 0 <= place < len(choices) else None


def _round(value: float, precision: float | None, protocol: str) -> str:
    if protocol == "internvl-later":
        return str(round(value, int(precision)))  # type: ignore[arg-type]  # no precision is a TypeError, as there
    return str(round(value, precision))  # type: ignore[arg-type]
