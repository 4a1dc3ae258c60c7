"""Multiple choice against tests/golden/scienceqa.json, by eye, and as a property."""

from __future__ import annotations

import doctest
import math
import random
import time
from typing import Any

import numpy as np
import pytest

from evaluate.metric import ScorerMetric
from evaluate.scorers import choice
from evaluate.scorers.choice import (
    ChoiceTarget,
    choice_accuracy,
    read_letter,
    read_letter_later,
    read_letter_strictly,
)

DOGS = {"A": "a dog", "B": "dog", "C": "None of the above", "D": "Cat"}


@pytest.mark.golden("scienceqa", kind="post_process")
def test_letters_agree_with_the_originals(case: dict[str, Any]) -> None:
    text, options, expected = case["input"]["pred"], case["input"]["options"], case["expected"]
    if "raises" in expected:
        assert read_letter(text, options) not in options
    else:
        assert read_letter(text, options) == expected["answer"]
        assert (expected["answer"] == case["input"]["gold"]) == expected["correct"]
    if isinstance(expected["later_answer"], str):
        assert read_letter_later(text, options) == expected["later_answer"]
    else:
        assert read_letter_later(text, options) not in options


@pytest.mark.golden("scienceqa")
def test_accuracy_agrees_with_the_original(family: dict[str, Any]) -> None:
    inputs = {case["id"]: case["input"] for case in family["cases"]}
    rows = [inputs[name] for name in family["aggregate"]["input_ids"]]
    targets = [ChoiceTarget(row["gold"], row["options"]) for row in rows]
    scores = choice_accuracy()([row["pred"] for row in rows], targets)
    expected = family["aggregate"]["expected"]
    value = expected["accuracy"] if isinstance(expected, dict) else expected
    assert scores.metrics["accuracy"] == pytest.approx(100 * value, abs=100 * family["tolerance"])


@pytest.mark.parametrize(
    ("text", "published", "later", "strict"),
    [
        *(("B.", "B", "B", "B"), ("b", "b", "b", None), ("Answer: B", "A", "A", "B"), ("Cat", "C", "C", "D")),
        *(("Boat", "B", "B", None), ("(B)", "(B)", "B", "B"), ("The answer is dog", "B", "B", "B"), ("", "", "", None)),
        *(("CAT.", "C", "C", "D"), ("E", "E", "E", None), ("Ｂ", "Ｂ", "Ｂ", None), ("It is a dog", "A", "A", None)),
        *(("(B", "(B", "(B", "B"), ("选B", "选B", "选B", None), ("B\nBecause", "B", "B", "B")),
    ],
)
def test_readings_differ_where_they_should(text: str, published: str, later: str, strict: str | None) -> None:
    assert (read_letter(text, DOGS), read_letter_later(text, DOGS)) == (published, later)
    assert read_letter_strictly(text, DOGS) == strict


def test_scores_in_any_order_and_from_many_processes() -> None:
    generator = random.Random(0)
    texts = generator.choices(["A", "(B)", "Cat", "", "答案是B"], k=200)
    targets = [ChoiceTarget(generator.choice("ABCD"), DOGS) for _ in texts]
    scorer = choice_accuracy("internvl-later")
    scores = scorer(texts, targets)
    sums = np.array(scorer.statistics(texts, targets)).sum(axis=0)
    assert scorer.combine(sums) == pytest.approx(scores.metrics["accuracy"])
    assert scores.num_unparsed == texts.count("") + texts.count("答案是B")
    metric = ScorerMetric(scorer, lambda value: ChoiceTarget(**value))
    metric.update(texts[100:], targets[100:])
    metric.update(texts[:100], targets[:100])
    assert {name: value.item() for name, value in metric.compute().items()} == dict(scores.metrics)


def test_nothing_gives_nan_and_an_unknown_protocol_is_named() -> None:
    assert all(map(math.isnan, choice_accuracy()([], []).metrics.values()))
    with pytest.raises(ValueError, match=r"expected one of internvl-v1\.2, internvl-later, got 'strict'"):
        choice_accuracy("strict")


def test_examples_are_true_and_long_answers_are_read_quickly() -> None:
    assert doctest.testmod(choice).failed == 0
    start = time.perf_counter()
    for text in ("(" * 100_000, " A" * 50_000, "x. " * 30_000):
        for read in (read_letter, read_letter_later, read_letter_strictly):
            read(text, DOGS)
    assert time.perf_counter() - start < 1
