"""MileBench's ROUGE-L against tests/golden/milebench_rouge.json, and against the rule as it is written down."""

from __future__ import annotations

import random
import time
from typing import Any

import pytest

from evaluate.scorer import NoAnswer
from evaluate.scorers.milebench_rouge import find_shared, milebench_rouge, score_rouge, score_rouge_ordinarily
from evaluate.scorers.milebench_target import MilebenchTarget

ALMOST = 0.999999995


def score(rule: Any, prediction: str, answer: str) -> float:
    return float(rule(prediction, MilebenchTarget(answer, (), 2, "IEdit")))


@pytest.mark.golden("milebench_rouge")
def test_value_agrees_with_the_original(case: dict[str, Any]) -> None:
    value = score(score_rouge, case["input"]["pred_response"], case["input"]["gt_response"])
    assert value == pytest.approx(case["expected"], rel=0, abs=1e-6)


@pytest.mark.parametrize(
    ("prediction", "answer", "published", "ordinary"),
    [
        ("The cat.", "the cat", ALMOST, 1),
        ("the the the cat", "the cat the cat", ALMOST, 0.75),
        ("a b", "b a", 0.5, 0.5),
        ("a. b", "b a", 0.5, 0.5),
        ("1.2.3", "1.2.4", 2 / 3, 2 / 3),
        ("1.2", "2 1", ALMOST, 0.5),
        ("", "x", 0, 0),
        ("x", "", 0, 0),
        ("." * 40, "x", 0, 0),
        ("x", "." * 40, 0, 0),
    ],
)
def test_values_by_eye(prediction: str, answer: str, published: float, ordinary: float) -> None:
    assert score(score_rouge, prediction, answer) == pytest.approx(published, abs=1e-8)
    assert score(score_rouge_ordinarily, prediction, answer) == pytest.approx(ordinary, abs=1e-12)


def find_by_table(reference: list[str], sentence: list[str]) -> tuple[set[str], int]:
    """The words and the length of the sequence that going back through the table of all lengths comes upon."""
    table = [[0] * (len(sentence) + 1) for _ in range(len(reference) + 1)]
    for i, wanted in enumerate(reference, start=1):
        for j, word in enumerate(sentence, start=1):
            table[i][j] = table[i - 1][j - 1] + 1 if word == wanted else max(table[i - 1][j], table[i][j - 1])
    i, j, words = len(reference), len(sentence), set()
    while i and j:
        if reference[i - 1] == sentence[j - 1]:
            words.add(reference[i - 1])
            i, j = i - 1, j - 1
        elif table[i - 1][j] > table[i][j - 1]:
            i -= 1
        else:
            j -= 1
    return words, table[-1][-1]


def test_bits_find_what_the_whole_table_finds() -> None:
    generator = random.Random(0)
    for _ in range(300):
        reference, sentence = (generator.choices("abcdef", k=generator.randint(1, 20)) for _ in range(2))
        words, length = find_by_table(reference, sentence)
        assert find_shared(reference, sentence) == words
        ordinary = score(score_rouge_ordinarily, " ".join(sentence), " ".join(reference))
        assert ordinary == pytest.approx(2 * length / (len(reference) + len(sentence)))


def test_percentages_over_all_and_per_level() -> None:
    targets = [MilebenchTarget("a b", (), number, "ALFRED") for number in (2, 6, 31, 32)]
    metrics = milebench_rouge()(["a b", "a c", "c", NoAnswer()], targets).metrics
    assert metrics == pytest.approx(
        {
            "Rouge-L f": 37.5,
            "rouge_l_f_ordinary": 37.5,
            "Rouge-L f/Few": 100,
            "Rouge-L f/Medium": 25,
            "Rouge-L f/Many": 0,
        },
        abs=1e-5,
    )


@pytest.mark.parametrize("unit", ["the red car ", "a ", "1.2 ", "word.5", "b a "])
def test_texts_of_many_thousand_words_are_scored_in_reasonable_time(unit: str) -> None:
    start = time.thread_time()
    text = unit * 10_000
    assert score(score_rouge, text, "the red bus is 1.2 and a b") < 0.8
    assert score(score_rouge_ordinarily, text, "the red bus is 1.2 and a b") < 0.1
    words = [f"{number}a" for number in range(3000)]
    assert score(score_rouge, " ".join(words), " ".join(words)) == pytest.approx(ALMOST)
    assert time.thread_time() - start < 3
