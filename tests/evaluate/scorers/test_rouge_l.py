"""ROUGE-L against tests/golden/captions.json picture by picture, and against the plain table."""

from __future__ import annotations

import random
from typing import Any

import pytest

from evaluate.scorers.rouge_l import score_rouge_l


@pytest.mark.golden("captions")
def test_values_agree_with_the_original(case: dict[str, Any], family: dict[str, Any]) -> None:
    references = [text.split(" ") for text in case["expected"]["reference_tokens"]]
    value = score_rouge_l(case["expected"]["tokens"].split(" "), references)
    assert value == pytest.approx(case["expected"]["scores"]["ROUGE_L"], rel=0, abs=family["tolerance"]["default"])


def find_longest(first: list[str], second: list[str]) -> int:
    """The longest common subsequence as every textbook has it."""
    table = [[0] * (len(second) + 1) for _ in range(len(first) + 1)]
    for i, a in enumerate(first):
        for j, b in enumerate(second):
            table[i + 1][j + 1] = table[i][j] + 1 if a == b else max(table[i][j + 1], table[i + 1][j])
    return table[-1][-1]


def test_value_is_that_of_the_plain_table() -> None:
    generator = random.Random(0)
    for _ in range(300):
        caption, text = (generator.choices("abcd", k=generator.randint(1, 90)) for _ in range(2))
        shared = find_longest(caption, text)
        precision, recall = shared / len(caption), shared / len(text)
        expected = 2.44 * precision * recall / (recall + 1.44 * precision) if shared else 0.0
        assert score_rouge_l(caption, [text]) == pytest.approx(expected)


def test_precision_and_recall_may_come_from_different_references() -> None:
    assert score_rouge_l(["a", "b"], [["a", "b", "c", "d"], ["a"]]) == 1.0
    assert score_rouge_l(["a"], [["b"]]) == 0.0
