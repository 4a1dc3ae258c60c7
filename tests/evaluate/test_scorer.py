"""The mean scorer: means, unscored samples, groups, and the promise that order and start-up time do not matter."""

from __future__ import annotations

import doctest
import importlib
import math
import pickle
import random
import subprocess
import sys

import pytest

from evaluate.scorer import MeanScorer, NoAnswer, Scorer
from evaluate.scorers.exact_match import exact_match

MODULES = [
    "evaluate.scorer",
    *(f"evaluate.scorers.{name}" for name in ("anls", "exact_match", "gqa", "relaxed_accuracy", "vqa_accuracy")),
]


def read_number(prediction: str, _: object) -> float | None:
    return float(prediction) if prediction else None


def first_letter(target: str) -> tuple[str, ...]:
    return (target[0],) if target else ()


def test_mean_is_over_scored_samples_only() -> None:
    scores = MeanScorer("number", read_number)(["0", "", "1"], [None, None, None])
    assert scores.metrics == {"accuracy": 50.0}
    assert scores.samples == (0.0, None, 1.0)
    assert scores.num_unparsed == 0


def test_primary_and_scale_are_the_callers() -> None:
    scorer = MeanScorer("number", read_number, primary="error", scale=1.0, higher_is_better=False)
    assert scorer(["2", "4"], ["", ""]).metrics == {"error": 3.0}
    assert not scorer.higher_is_better


@pytest.mark.parametrize("predictions", [[], [""]], ids=["no samples", "no scored sample"])
def test_mean_of_nothing_is_nan(predictions: list[str]) -> None:
    scores = MeanScorer("number", read_number, groups=first_letter)(predictions, [""] * len(predictions))
    assert list(scores.metrics) == ["accuracy"]
    assert math.isnan(scores.metrics["accuracy"])


def test_group_metrics_are_means_of_their_members() -> None:
    scorer = MeanScorer("number", read_number, groups=first_letter)
    metrics = scorer(["0", "1", "1", ""], ["ant", "ape", "bee", "cat"]).metrics
    assert list(metrics) == ["accuracy", "accuracy/a", "accuracy/b", "accuracy/c"]
    assert (metrics["accuracy/a"], metrics["accuracy/b"]) == (50.0, 100.0)
    assert math.isnan(metrics["accuracy/c"])


def test_other_rules_stand_beside_and_never_credit_a_failure() -> None:
    double = {"double": lambda prediction, target: 2.0 if prediction != "" else 1.0}
    scorer = MeanScorer("number", read_number, beside=double, groups=first_letter)
    scores = scorer(["1", "1", "0"], ["ant", "bee", "bee"])
    assert list(scores.metrics) == ["accuracy", "double", "accuracy/a", "accuracy/b"]
    assert (scores.metrics["accuracy"], scores.metrics["double"]) == (pytest.approx(200 / 3), 200.0)
    assert scorer(["1", NoAnswer()], ["ant", "bee"]).metrics["double"] == 100.0
    assert hash(scorer) == hash(MeanScorer("number", read_number, beside=double, groups=first_letter))


def test_order_of_samples_cannot_change_a_digit() -> None:
    generator = random.Random(0)
    numbers = [repr(generator.uniform(0, 1) ** 20) for _ in range(1000)]
    scorer = MeanScorer("number", read_number)
    expected = scorer(numbers, numbers).metrics
    naive = sum(map(float, numbers))
    moved = False
    for _ in range(20):
        generator.shuffle(numbers)
        assert scorer(numbers, numbers).metrics == expected
        moved |= sum(map(float, numbers)) != naive
    assert moved, "the numbers are too tame: a plain sum does not depend on their order either"


def test_unequal_lengths_are_named() -> None:
    with pytest.raises(ValueError, match="number: expected one target per prediction, got 2 predictions and 1 targets"):
        MeanScorer("number", read_number)(["1", "2"], ["1"])


def test_mean_scorer_is_a_scorer_that_pickles() -> None:
    scorer: Scorer = exact_match()
    assert pickle.loads(pickle.dumps(scorer)) == scorer
    assert (scorer.name, scorer.primary, scorer.higher_is_better) == ("exact_match", "accuracy", True)


@pytest.mark.parametrize("module", MODULES)
def test_examples_in_docstrings_are_true(module: str) -> None:
    outcome = doctest.testmod(importlib.import_module(module))
    assert outcome.attempted
    assert not outcome.failed


def test_importing_scorers_loads_no_heavy_library() -> None:
    heavy = {"torch", "torchmetrics", "numpy", "lightning", "transformers"}
    code = f"import sys, {', '.join(MODULES)}; print(*sorted({heavy} & set(sys.modules)))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert loaded == []
