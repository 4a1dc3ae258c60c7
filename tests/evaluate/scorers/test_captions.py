"""Caption metrics against tests/golden/captions.json, by hand, and as a property."""

from __future__ import annotations

import math
import random
import time
from typing import Any

import pytest

from evaluate.headline import bound_headline
from evaluate.metric import ScorerMetric
from evaluate.scorer import Scores
from evaluate.scorers.captions import CaptionScorer, CaptionTarget

NAMES = {f"Bleu_{order}": f"BLEU-{order}" for order in range(1, 5)} | {"ROUGE_L": "ROUGE-L", "CIDEr": "CIDEr"}
TEXTS = ["A red bus.", "a dog's ball", "The red bus stops", "two (2) dogs", "", "A man, a dog", "a red dog"]


def score(cases: list[dict[str, Any]]) -> Scores:
    targets = [CaptionTarget(tuple(case["input"]["references"])) for case in cases]
    return CaptionScorer()([case["input"]["caption"] for case in cases], targets)


@pytest.mark.golden("captions")
@pytest.mark.parametrize("part", ["aggregate", "aggregate_generated_only"])
def test_metrics_agree_with_the_original_in_any_order(family: dict[str, Any], part: str) -> None:
    if part not in family:
        pytest.skip(f"no {part} in this family")
    named = {case["id"]: case for case in family["cases"]}
    cases = [named[name] for name in family[part]["input_ids"]]
    expected = {NAMES[key]: 100 * value for key, value in family[part]["expected"].items() if key in NAMES}
    near = {"rel": 0, "abs": 100 * family["tolerance"]["default"]}
    for _ in range(2):
        metrics = score(cases).metrics
        assert {key: metrics[key] for key in expected} == pytest.approx(expected, **near)
        random.Random(0).shuffle(cases)
    if "average_length" in family[part]["expected"]:
        assert metrics["average_length"] == pytest.approx(family[part]["expected"]["average_length"])


@pytest.mark.golden("captions")
def test_values_of_pictures_agree_with_the_original(family: dict[str, Any]) -> None:
    named = {case["id"]: case for case in family["cases"]}
    cases = [named[name] for name in family["aggregate"]["input_ids"]]
    expected = [100 * case["expected"]["scores"]["CIDEr"] for case in cases]
    assert score(cases).samples == pytest.approx(expected, rel=0, abs=100 * family["tolerance"]["default"])
    for case in cases:
        alone = score([case]).metrics
        stored = {NAMES[key]: 100 * value for key, value in case["expected"]["scores"].items() if key in NAMES}
        del stored["CIDEr"]  # it depends on the other pictures
        assert {key: alone[key] for key in stored} == pytest.approx(stored, rel=0, abs=1e-4)


def test_order_does_not_move_a_digit_and_the_interval_is_that_of_the_mean() -> None:
    generator = random.Random(1)
    rows = [
        (
            generator.choice(TEXTS),
            CaptionTarget(tuple(generator.choices(TEXTS, k=3)), generator.choice(["", "in", "out"])),
        )
        for _ in range(60)
    ]
    first = CaptionScorer()(*map(list, zip(*rows, strict=True)))
    clusters = [str(number) for number in range(60)]
    low, high = bound_headline(CaptionScorer(), *map(list, zip(*rows, strict=True)), first.samples, clusters)
    assert low < first.metrics["CIDEr"] < high
    generator.shuffle(rows)
    again = CaptionScorer()(*map(list, zip(*rows, strict=True)))
    assert again.metrics == pytest.approx(first.metrics, rel=1e-12)
    assert {"CIDEr/in", "CIDEr/out"} < first.metrics.keys()
    assert first.metrics["CIDEr"] == pytest.approx(sum(first.samples) / 60)


def test_domain_is_scored_as_if_there_were_no_other_pictures() -> None:
    rows = [("a red bus", CaptionTarget(("a red bus", "a bus"), "in")), ("a dog", CaptionTarget(("a cat sits",), "in"))]
    other = ("a red bus", CaptionTarget(("a red bus",), "out"))
    both = CaptionScorer()(*map(list, zip(*rows, other, strict=True))).metrics
    alone = CaptionScorer()(*map(list, zip(*rows, strict=True))).metrics
    assert both["CIDEr/in"] == alone["CIDEr"] == alone["CIDEr/in"] != both["CIDEr"]
    assert both["CIDEr/out"] == 0.0  # what is in every picture weighs nothing


def test_nothing_to_score_gives_nan_and_empty_captions_are_counted() -> None:
    empty = CaptionScorer()([], [])
    assert all(math.isnan(value) for value in empty.metrics.values())
    scores = CaptionScorer()(["", "😀.", "a bus"], [CaptionTarget(("a bus",)), CaptionTarget(("",)), CaptionTarget(())])
    assert scores.num_unparsed == 2
    assert scores.samples[2] is None
    assert scores.metrics["CIDEr"] == 0.0
    with pytest.raises(ValueError, match="expected one target per caption, got 1 captions and 0 targets"):
        CaptionScorer()(["a"], [])


def test_metric_of_two_processes_is_that_of_one() -> None:
    targets = [CaptionTarget((text, "a bus")) for text in TEXTS]
    metric = ScorerMetric(CaptionScorer(), revive=lambda value: CaptionTarget(tuple(value["references"])))
    metric.update(TEXTS[3:], targets[3:])
    metric.update(TEXTS[:3], targets[:3])
    expected = CaptionScorer()(TEXTS, targets).metrics
    assert {name: value.item() for name, value in metric.compute().items()} == pytest.approx(expected, rel=1e-12)


def test_very_long_caption_is_scored_in_reasonable_time() -> None:
    start = time.process_time()
    CaptionScorer()(["The dog's ball, " * 6000, "a"], [CaptionTarget(("a dog",)), CaptionTarget(("a",))])
    assert time.process_time() - start < 5
