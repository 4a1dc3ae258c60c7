"""Which rule scores a data set of MileBench, and what holds for all three."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest

from evaluate.metric import ScorerMetric
from evaluate.scorer import NoAnswer
from evaluate.scorers.milebench import SCORERS, Rule, check_target, choose_rule
from evaluate.scorers.milebench_target import MilebenchTarget
from internvl.errors import InputError

TARGETS: dict[Rule, MilebenchTarget] = {
    "choice": MilebenchTarget("dark red", ("red", "dark red", "blue", "3.5"), 7, "TQA"),
    "needle": MilebenchTarget("4255900", (), 40, "TextNeedleInAHaystack"),
    "rouge": MilebenchTarget("the red bus, 3.5 m. The end", (), 2, "IEdit"),
}
STRANGE = ("", " ", "?", "A", "(B)", "1,000", "猫", "🙂", "e\u0301", "Ａ", "a\u2028b\x85c", "A\x00", "\ud83d", "." * 99)


@pytest.mark.parametrize(
    ("dataset", "question_type", "rule"),
    [
        ("TextNeedleInAHaystack", "open-ended", "needle"),
        ("ImageNeedleInAHaystack", "anything", "needle"),
        ("MMCoQA", "multi-choice", "needle"),
        ("ALFRED", "open-ended", "rouge"),
        ("GPR1200", "multi-choice", "choice"),
    ],
)
def test_the_name_decides_before_the_type(dataset: str, question_type: str, rule: str) -> None:
    assert choose_rule(dataset, question_type) == rule


def test_an_unknown_type_is_told() -> None:
    with pytest.raises(
        InputError, match="question_type of TQA: expected one of open-ended, multi-choice, got 'yes-no'; "
    ):
        choose_rule("TQA", "yes-no")


def test_targets_are_checked_as_their_rule_needs_it() -> None:
    empty = MilebenchTarget("", (), 2, "X")
    check_target(empty, "needle", "row 1")
    for rule, told in (("choice", "text of one of the options"), ("rouge", "a word to compare with")):
        with pytest.raises(InputError, match=f"row 1: expected an answer .*{told}"):
            check_target(empty, rule, "row 1")  # type: ignore[arg-type]
        check_target(TARGETS[rule], rule, "row 1")  # type: ignore[index, arg-type]


def revive(value: dict[str, Any]) -> MilebenchTarget:
    return MilebenchTarget(**{**value, "options": tuple(value["options"])})


@pytest.mark.parametrize("rule", SCORERS)
def test_order_and_ranks_move_no_digit_and_values_are_shares(rule: Rule) -> None:
    scorer, target = SCORERS[rule](), TARGETS[rule]
    texts = [*STRANGE, target.answer, f"I think {target.answer}", NoAnswer()] * 3
    scores = scorer(texts, [target] * len(texts))
    assert all(value is not None and 0 <= value <= 1 for value in scores.samples)
    assert 0 < scores.metrics[scorer.primary] < 100
    shuffled = random.Random(0).sample(texts, len(texts))
    assert scorer(shuffled, [target] * len(texts)).metrics == scores.metrics
    metric = ScorerMetric(scorer, revive)
    for text in texts:
        metric.update([text], [target])
    assert {name: value.item() for name, value in metric.compute().items()} == dict(scores.metrics)


@pytest.mark.parametrize("rule", SCORERS)
def test_nothing_is_no_number_a_failure_is_wrong_and_the_right_answer_right(rule: Rule) -> None:
    scorer, target = SCORERS[rule](), TARGETS[rule]
    assert all(map(math.isnan, scorer([], []).metrics.values()))
    assert set(scorer([NoAnswer()], [target]).metrics.values()) == {0.0}
    assert set(scorer([""], [target]).metrics.values()) == {0.0}
    right = scorer([target.answer], [target])
    assert right.metrics[scorer.primary] == pytest.approx(100, abs=1e-6 if rule == "rouge" else 0)
    assert (right.metrics[next(iter(scorer.beside))], right.num_unparsed) == (100.0, 0)
