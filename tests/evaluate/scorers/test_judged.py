"""What of a verdict counts: in the headline, in the strict number, and in the coverage."""

from __future__ import annotations

import doctest
import math

import pytest

from evaluate.judging import Status, Verdict
from evaluate.scorer import NoAnswer
from evaluate.scorers import judged as module
from evaluate.scorers.judged import JudgedScorer, average, covered, strict, value


def read(said: str, target: object) -> float | None:
    return float(said) if said.replace(".", "").isdecimal() else None


SCORER = JudgedScorer("test", value(read), "score", beside={"strict": strict(read), "coverage": covered(read)})


@pytest.mark.parametrize("status", ["refusal", "parse_error", "api_error", "no_prediction"])
def test_what_is_not_good_is_missing_and_no_silent_nothing(status: Status) -> None:
    scores = SCORER([Verdict("1"), Verdict("0.5"), Verdict("1", status)], [None] * 3)
    assert scores.samples == (1.0, 0.5, None)
    assert scores.metrics == pytest.approx({"score": 75, "strict": 50, "coverage": 200 / 3})
    assert scores.num_unparsed == (status == "parse_error")


def test_no_answer_is_wrong_and_a_text_without_status_is_read() -> None:
    scores = SCORER([NoAnswer(), "1", "words"], [None] * 3)
    assert scores.samples == (0.0, 1.0, None)
    assert scores.metrics == pytest.approx({"score": 50, "strict": 100 / 3, "coverage": 100 / 3})


def test_nothing_at_all_is_no_number() -> None:
    assert all(map(math.isnan, SCORER([], []).metrics.values()))
    assert math.isnan(average([None]))
    assert average([None, 1.0, 0.0]) == 0.5


def test_examples() -> None:
    assert doctest.testmod(module).failed == 0
