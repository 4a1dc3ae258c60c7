"""Judged answers of Inst-It Bench: which replies hold a score, and what scores amount to."""

from __future__ import annotations

import doctest
import math

import pytest

from evaluate.judging import Verdict
from evaluate.scorer import NoAnswer
from evaluate.scorers import inst_it_open as module
from evaluate.scorers.inst_it_open import InstItReference, average_official, inst_it_open, read_score

TARGET = InstItReference("What?", "That.", "image")


@pytest.mark.parametrize(
    ("text", "score"),
    [
        ('{"sample_score": 0.7}', 0.7),
        ('{"sample_score":1}', 1.0),
        ('{"sample_score": -0.2}', -0.2),
        ('It is right.\n```json\n{"sample_score": 0.9}\n```', 0.9),
        ('{"score": 1} {"sample_score": 0.1} {"sample_score": 0.2}', 0.1),
        ('{"sample_score": "0.5"}', None),
        ('{"sample_score": true}', None),
        ('{"sample_score": null}', None),
        ('{"sample_score": 1e999}', None),
        ('{"sample_score": NaN}', None),
        ('{"sample_score": ' + "9" * 400 + "}", None),
        ('{"sample_score": 0.', None),
        ("0.5", None),
        ("", None),
        ("{" * 1000 + "}" * 1000, None),
    ],
)
def test_scores_are_numbers_in_an_object(text: str, score: float | None) -> None:
    assert read_score(text) == score


def test_every_number_by_hand() -> None:
    said = [Verdict(f'{{"sample_score": {score}}}') for score in (1.4, -0.2, 0.5)]
    said += [Verdict("", "refusal", "no"), Verdict('{"sample_score": 1}', "parse_error"), NoAnswer()]
    scores = inst_it_open()(said, [TARGET] * 6)
    assert scores.samples == (1.4, -0.2, 0.5, None, None, 0.0)
    assert scores.num_unparsed == 1
    assert scores.metrics == pytest.approx(
        {
            "accuracy": 170 / 4,
            "accuracy_official": 170 / 3,
            "accuracy_all": 170 / 6,
            "coverage": 50,
            "num_out_of_range": 2,
        }
    )


def test_no_score_is_no_number() -> None:
    assert math.isnan(average_official([]))
    assert math.isnan(inst_it_open()([Verdict("", "refusal")], [TARGET]).metrics["accuracy"])


def test_example_in_the_docstring_is_true() -> None:
    assert doctest.testmod(module) == (0, 1)
