"""Word match against tests/golden/tiny_lvlm.json, by hand, and as a property."""

from __future__ import annotations

import math
import random
import re
import time
from typing import Any

import pytest

from evaluate.headline import bound_headline
from evaluate.metric import ScorerMetric
from evaluate.scorer import Scores
from evaluate.scorers.vqa_accuracy import normalize
from evaluate.scorers.word_match import ABILITIES, AbilityScorer, AbilityTarget, has_words, score_words


def read_target(item: dict[str, Any]) -> AbilityTarget:
    answers = item["gt_answers"]
    return AbilityTarget((answers,) if isinstance(answers, str) else tuple(answers), item["image_path"].split("/")[-2])


def score(items: list[dict[str, Any]]) -> Scores:
    return AbilityScorer()([item["answer"] for item in items], [*map(read_target, items)])


def check(metrics: dict[str, float], expected: dict[str, float], tolerance: float) -> None:
    named = {key: metrics["overall" if key == "Overall" else f"accuracy/{key}"] for key in expected}
    assert named == pytest.approx({key: 100 * value for key, value in expected.items()}, rel=0, abs=100 * tolerance)


@pytest.mark.golden("tiny_lvlm", kind="has_word")
def test_words_are_found_as_by_the_original(case: dict[str, Any]) -> None:
    assert has_words(case["input"]["sentence"], case["input"]["word"]) == case["expected"]["found"]


@pytest.mark.golden("tiny_lvlm", kind="normalize")
def test_texts_are_cleaned_as_by_the_original(case: dict[str, Any]) -> None:
    assert normalize(case["input"]["text"]) == case["expected"]["text"]


@pytest.mark.golden("tiny_lvlm", kind="item")
def test_answers_are_judged_as_by_the_original(case: dict[str, Any]) -> None:
    assert score_words(case["input"]["answer"], read_target(case["input"])) == case["expected"].get("correct", False)


@pytest.mark.golden("tiny_lvlm", kind="run_error")
def test_set_that_the_original_may_stop_at_is_scored(case: dict[str, Any], family: dict[str, Any]) -> None:
    scores = score(case["input"]["items"])
    assert len(scores.samples) == len(case["input"]["items"])
    check(scores.metrics, case["expected"].get("scores", {}), family["tolerance"])


@pytest.mark.golden("tiny_lvlm")
def test_sum_and_accuracies_agree_with_the_original_in_any_order(family: dict[str, Any]) -> None:
    inputs = {case["id"]: case["input"] for case in family["cases"]}
    items = [inputs[name] for name in family["aggregate"]["input_ids"]]
    for _ in range(2):
        check(score(items).metrics, family["aggregate"]["expected"], family["tolerance"])
        random.Random(0).shuffle(items)


def test_words_are_those_of_the_regular_expression() -> None:
    generator = random.Random(0)
    for _ in range(3000):
        sentence, words = ("".join(generator.choices("ab_ +é9", k=generator.randint(0, size))) for size in (12, 3))
        assert has_words(sentence, words) == bool(re.search(rf"\b{re.escape(words)}\b", sentence)), (sentence, words)


def test_sum_statistics_and_interval_agree() -> None:
    generator = random.Random(1)
    rows = [
        (generator.choice(["yes", "no", "a"]), AbilityTarget(("yes",), generator.choice(ABILITIES))) for _ in range(80)
    ]
    predictions, targets = map(list, zip(*rows, strict=True))
    scores = AbilityScorer()(predictions, targets)
    low, high = bound_headline(AbilityScorer(), predictions, targets, scores.samples, [*map(str, range(80))])
    assert 0 < low < scores.metrics["overall"] < high < 500
    metric = ScorerMetric(AbilityScorer(), lambda value: AbilityTarget(tuple(value["answers"]), value["ability"]))
    metric.update(predictions[30:], targets[30:])
    metric.update(predictions[:30], targets[:30])
    assert metric.compute()["overall"].item() == pytest.approx(scores.metrics["overall"])


def test_accepted_answer_without_words_matches_nothing_in_the_strict_sum() -> None:
    scores = AbilityScorer()(
        ["cat", "", "dog"], [AbilityTarget(("a",), ABILITIES[0])] * 2 + [AbilityTarget(("dog",), "x")]
    )
    assert (scores.metrics["overall"], scores.metrics["overall_strict"], scores.num_unparsed) == (50.0, 0.0, 1)
    assert scores.metrics["accuracy/x"] == 100.0
    empty = AbilityScorer()([], [])
    assert math.isnan(empty.metrics["overall"])
    with pytest.raises(ValueError, match="expected one target per prediction, got 1 predictions and 0 targets"):
        AbilityScorer()(["a"], [])


def test_very_long_answer_is_scored_in_no_time() -> None:
    start = time.process_time()
    score_words("catcat dogs " * 10_000, AbilityTarget(("cat", "dog", "s dogs c"), ABILITIES[0]))
    assert time.process_time() - start < 2
