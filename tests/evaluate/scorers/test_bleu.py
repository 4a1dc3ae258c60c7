"""BLEU against tests/golden/captions.json picture by picture, and by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest

from evaluate.scorers.bleu import combine_matches, count_matches
from evaluate.scorers.cider import count_grams


def count(caption: str, *references: str) -> list[int]:
    return count_matches(count_grams(caption.split()), [count_grams(text.split()) for text in references])


@pytest.mark.golden("captions")
def test_values_agree_with_the_original(case: dict[str, Any], family: dict[str, Any]) -> None:
    values = combine_matches(count(case["expected"]["tokens"], *case["expected"]["reference_tokens"]))
    expected = [case["expected"]["scores"][f"Bleu_{order}"] for order in range(1, 5)]
    assert values == pytest.approx(expected, rel=0, abs=family["tolerance"]["default"])


def test_counts_are_clipped_by_the_best_reference_and_the_closest_length_counts() -> None:
    assert count("the the the", "the the", "a b c d") == [3, 2, 2, 3, 1, 2, 0, 1, 0, 0]
    assert count("", "a b") == [0, 2, 0, 0, 0, 0, 0, 0, 0, 0]


def test_short_captions_are_punished() -> None:
    assert combine_matches(count("a red bus", "a red bus stops"))[2] == pytest.approx(math.exp(1 - 4 / 3))
    assert combine_matches(count("", "a b")) == pytest.approx([0.0] * 4)
