"""Choices of Inst-It Bench against tests/golden/instit_mc.json, and what stands beside the headline by hand."""

from __future__ import annotations

import doctest
import math
from typing import Any

import numpy as np
import pytest

from evaluate.scorer import NoAnswer
from evaluate.scorers import inst_it_choice
from evaluate.scorers.inst_it_choice import ChoiceCounts, InstItChoiceScorer, count_choices, read_letter


@pytest.mark.golden("instit_mc")
def test_letters_and_counts_agree_with_the_original(family: dict[str, Any]) -> None:
    for case in family["cases"]:
        if case["input"]["fn"] == "extract":
            assert read_letter(case["input"]["text"]) == case["expected"], case["input"]
            continue
        rows, expected = case["input"]["predictions"], case["expected"]
        letters = [read_letter(row["model_prediction"]) for row in rows]
        targets = [row["ground_truth"] for row in rows]
        assert letters == expected["extracted"]
        counts = count_choices(letters, targets)
        found = {"total_num": counts.total, "valid_num": counts.valid, "correct_num": counts.correct}
        assert found == {name: expected[name] for name in found}
        metrics = InstItChoiceScorer()([row["model_prediction"] for row in rows], targets).metrics
        for accuracy in (counts.accuracy, metrics["accuracy"], metrics["accuracy_official"]):
            assert accuracy == expected["accuracy"] or (math.isnan(accuracy) and not counts.valid)


def test_every_number_by_hand() -> None:
    said = ["A", "The best answer is: B.", "Best answer: C", "none", NoAnswer()]
    scores = InstItChoiceScorer()(said, ["A", "C", "C", "D", "A"])
    assert scores.samples == (1.0, 0.0, 0.0, None, 0.0)
    assert (scores.num_unparsed, scores.num_unscored) == (1, 1)
    assert scores.metrics == pytest.approx(
        {
            "accuracy": 100 / 4,
            "accuracy_official": 100 / 3,
            "accuracy_all": 100 / 5,
            "accuracy_corrected": 200 / 5,
            "num_valid": 3,
        }
    )


def test_sums_without_an_answer_that_counts_have_no_number() -> None:
    scorer = InstItChoiceScorer()
    rows = scorer.statistics(["A", "none", NoAnswer()], ["A", "A", "A"])
    assert rows == [(1.0, 1.0), (0.0, 0.0), (0.0, 1.0)]
    assert scorer.combine(np.array([[1.0, 2.0], [0.0, 0.0]])).tolist()[0] == 50
    assert math.isnan(scorer.combine(np.array([0.0, 0.0])))
    assert math.isnan(ChoiceCounts(0, 0, 0).accuracy_all)


def test_example_in_the_docstring_is_true() -> None:
    assert doctest.testmod(inst_it_choice) == (0, 1)
