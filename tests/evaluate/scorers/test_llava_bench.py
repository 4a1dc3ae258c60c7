"""LLaVA-Bench against tests/golden/llava_bench.json, and the headline beside the published number by hand."""

from __future__ import annotations

import doctest
import math
import random
import time
from collections import defaultdict
from typing import Any

import numpy as np
import pytest

from evaluate.headline import bound_headline
from evaluate.judging import Verdict
from evaluate.scorer import NoAnswer
from evaluate.scorers import llava_bench as module
from evaluate.scorers.llava_bench import FAILED, LlavaScorer, LlavaTarget, read_pair, summarize


def target(category: str = "conv") -> LlavaTarget:
    return LlavaTarget("What?", "A cat.", "It is a cat.", category)


def group(reviews: list[dict[str, Any]], ignore: list[int]) -> dict[str, list[tuple[float, float]]]:
    """The pairs of a review file per group, as the published summary makes them."""
    groups: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for review in reviews:
        if review["question_id"] not in ignore:
            first, second = review.get("tuple") or review["score"]
            for name in filter(None, ("all", review.get("category"))):
                groups[name].append((first, second))
    return groups


@pytest.mark.golden("llava_bench", kind="parse_score")
def test_pairs_are_read_as_by_the_original(case: dict[str, Any]) -> None:
    assert (read_pair(case["input"]["review"]) or FAILED) == pytest.approx(case["expected"]["scores"], nan_ok=True)


@pytest.mark.golden("llava_bench", kind="summarize")
def test_summaries_agree_with_the_original(case: dict[str, Any], family: dict[str, Any]) -> None:
    found = {name: summarize(pairs) for name, pairs in group(case["input"]["reviews"], case["input"]["ignore"]).items()}
    if "raises" in case["expected"]:
        assert any(math.isnan(summary.ratio) for summary in found.values()), "the original stops here"
        return
    assert found.keys() == case["expected"]["groups"].keys()
    for name, stored in case["expected"]["groups"].items():
        near = {"rel": 0, "abs": family["tolerance"]}
        assert found[name].means == pytest.approx(stored["means"], **near)
        assert found[name].ratio == pytest.approx(stored["ratio"], **near)
        assert found[name].tens == pytest.approx(stored["x10"], **near)


@pytest.mark.golden("llava_bench")
def test_whole_scorer_gives_the_published_ratios(family: dict[str, Any]) -> None:
    cases = {case["id"]: case["input"] for case in family["cases"]}
    reviews = [review for name in family["aggregate"]["input_ids"] for review in cases[name]["reviews"]]
    said = [Verdict(f"{review['tuple'][0]} {review['tuple'][1]}\nwhy") for review in reviews]
    categories = [review["category"].removeprefix("llava_bench_") for review in reviews]
    metrics = LlavaScorer()(said, [target(name) for name in categories]).metrics
    for name, stored in family["aggregate"]["expected"].items():
        suffix = "" if name == "all" else "/" + name.removeprefix("llava_bench_")
        assert metrics[f"score_official{suffix}"] == stored["ratio"]
        assert metrics[f"score{suffix}"] == pytest.approx(stored["ratio"], abs=0.1)
        ratings = metrics[f"rating_reference{suffix}"], metrics[f"rating_model{suffix}"]
        assert ratings == pytest.approx(stored["x10"], abs=0.0501)


def test_failures_stay_out_of_the_headline_and_are_minus_one_in_the_published_number() -> None:
    said = [Verdict("8 6"), Verdict("10 9"), Verdict("Sorry", "refusal"), Verdict("8 or 9", "parse_error")]
    scores = LlavaScorer()(said, [target("conv"), target("detail"), target("detail"), target("conv")])
    assert scores.samples == (0.6, 0.9, None, None)
    assert scores.metrics["score"] == pytest.approx(100 * 15 / 18)
    assert scores.metrics["score_official"] == round(100 * (13 / 4) / (16 / 4), 1)
    assert scores.metrics["score_strict"] == pytest.approx(100 * (15 / 4) / (18 / 2))
    assert (scores.metrics["coverage"], scores.num_unparsed) == (50, 1)
    assert (scores.metrics["score/conv"], scores.metrics["score/detail"]) == pytest.approx((75, 90))
    assert "score/complex" not in scores.metrics


def test_with_all_judged_the_three_numbers_agree() -> None:
    metrics = LlavaScorer()([Verdict("8 6"), Verdict("9 9")], [target(), target()]).metrics
    assert metrics["score"] == metrics["score_strict"] == pytest.approx(metrics["score_official"], abs=0.05)


def test_ratings_that_are_no_numbers_and_a_reference_of_nothing_make_no_headline() -> None:
    scores = LlavaScorer()([Verdict("nan 5"), Verdict("8 4"), NoAnswer()], [target()] * 3)
    assert scores.samples == (None, 0.4, 0.0)
    assert scores.metrics["score"] == pytest.approx(100 * (4 / 2) / 8)
    assert math.isnan(LlavaScorer()([Verdict("0 5")], [target()]).metrics["score"])
    assert math.isnan(LlavaScorer()([Verdict("", "api_error")], [target()]).metrics["score"])


def test_sums_give_the_headline_and_order_does_not_matter() -> None:
    generator = random.Random(1)
    said: list[str] = [Verdict(f"{generator.randint(5, 10)} {generator.randint(1, 10)}") for _ in range(60)]
    said[7], said[9] = Verdict("no", "parse_error"), NoAnswer()
    targets = [target(generator.choice(module.CATEGORIES)) for _ in said]
    scorer = LlavaScorer()
    scores = scorer(said, targets)
    sums = np.array(scorer.statistics(said, targets)).sum(axis=0)
    assert float(scorer.combine(sums)) == pytest.approx(scores.metrics["score"], rel=1e-12)
    low, high = bound_headline(scorer, said, targets, scores.samples, [str(n // 2) for n in range(60)]) or (0, 0)
    assert low < scores.metrics["score"] < high
    order = generator.sample(range(60), 60)
    again = scorer([said[place] for place in order], [targets[place] for place in order])
    assert again.metrics == scores.metrics


def test_long_reviews_are_read_in_no_time() -> None:
    start = time.process_time()
    assert read_pair("8 " * 50_000) is None
    assert read_pair("8 9\n" + "x" * 100_000) == (8, 9)
    assert time.process_time() - start < 0.5


def test_examples() -> None:
    assert doctest.testmod(module).failed == 0
