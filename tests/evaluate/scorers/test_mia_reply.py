"""Replies to MIA-Bench: the published reading against tests/golden/mia_parse.json, and the patient one by eye."""

from __future__ import annotations

import doctest
import time
from typing import Any

import pytest

from evaluate.scorers import mia_reply as module
from evaluate.scorers.mia_reply import read_patiently, read_scores


@pytest.mark.golden("mia_parse")
def test_replies_are_read_as_by_the_original(case: dict[str, Any]) -> None:
    kinds, expected = case["input"]["component_type"], case["expected"]
    scores = read_scores(case["input"]["raw_score"], len(kinds))
    assert (scores is not None) == expected["ok"]
    if scores is not None:
        assert scores.name(kinds) == pytest.approx(expected["scores"], rel=0, abs=1e-9)


@pytest.mark.golden("mia_parse")
def test_patience_reads_whatever_the_original_reads_whole(family: dict[str, Any]) -> None:
    compared = 0
    for case in family["cases"]:
        kinds, reply = case["input"]["component_type"], case["input"]["raw_score"]
        scores = read_scores(reply, len(kinds))
        labelled = [reply.lower().find(f"component {number + 1}: ") for number in range(len(kinds))]
        # Where labels are in order and say everything, both readings mean the same.
        if scores and len(scores.components) == len(kinds) and -1 not in labelled and labelled == sorted(labelled):
            if "_" in reply or reply.count("/") != len(kinds) + 1:
                continue
            patient = read_patiently(reply, [2] * len(kinds))
            assert patient is not None, reply
            assert (*patient.components, patient.total) == pytest.approx((*scores.components, scores.total)), reply
            compared += 1
    assert compared > len(family["cases"]) // 4


@pytest.mark.parametrize(
    "reply",
    [
        "Score of component 1: 3.0/6; score of component 2: 4/4; total score: 7/10",
        "**score of component 1: 3/6, score of component 2: 4/4, total score: 7/10**.",
        "Here:\n\n1. Component 1: **3/6**\n2. Component 2: **4/4**\n\nTotal: 7/10\n\nReasons: component 1: 9/9.",
        "score of component 1:3/6, score of component 2:4/4, total score:7/10.",
        "- Component 1 – 3 / 6\n- Component 2 (the rhyme) – 4 / 4\nTotal score is 7/10",
        "component 1：3/6，component 2：4/4，total score：7/10",
        "score of component 2: 4, score of component 1: 3, total score: 7. Good.",
    ],
)
def test_patience_reads_labels_in_any_dress(reply: str) -> None:
    scores = read_patiently(reply, [6, 4])
    assert scores is not None
    assert (scores.components, scores.total) == ((0.5, 1.0), pytest.approx(0.7))


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "I'm sorry, but I can't help with that.",
        "score of component 1: 3/6, total score: 7/10.",
        "score of component 1: 3/6, score of component 2: 4/4.",
        "score of component 1: 3/0, score of component 2: 4/4, total score: 7/10.",
    ],
)
def test_patience_makes_nothing_up(reply: str) -> None:
    assert read_patiently(reply, [6, 4]) is None


def test_huge_numbers_and_long_replies_do_no_harm() -> None:
    start = time.process_time()
    digits = "9" * 4000
    assert read_scores(f"a: {digits}/1, b: 1/1", 1) is None
    assert read_scores(f"a: {'9' * 100_000}/1, b: 1/1", 1) is None
    for text in ("component 1: " * 8000, "component " + " " * 100_000, "total score " * 8000, "component 1" * 9000):
        assert read_patiently(text, [10]) is None
        assert read_scores(text, 1) is None
    assert time.process_time() - start < 1.0


def test_examples() -> None:
    assert doctest.testmod(module).failed == 0
