"""Edit distance against tests/golden/anls.json, and against the usual table."""

from __future__ import annotations

import random
import time
from typing import Any

import pytest

from evaluate.scorers.edit_distance import edit_distance


def fill_table(first: str, second: str) -> int:
    """The usual way, row by row."""
    row = list(range(len(second) + 1))
    for number, one in enumerate(first, 1):
        before, row[0] = row[0], number
        for place, other in enumerate(second, 1):
            before, row[place] = row[place], min(row[place] + 1, row[place - 1] + 1, before + (one != other))
    return row[-1]


@pytest.mark.golden("anls", kind="levenshtein")
def test_distance_agrees_with_the_original(case: dict[str, Any]) -> None:
    first, second = case["input"]["s1"], case["input"]["s2"]
    assert edit_distance(first, second) == edit_distance(second, first) == case["expected"]["distance"]


def test_distance_equals_the_usual_table() -> None:
    generator = random.Random(0)
    for _ in range(600):
        letters = "abé日"[: generator.randint(1, 4)]
        first, second = ("".join(generator.choices(letters, k=generator.randint(0, 90))) for _ in range(2))
        assert edit_distance(first, second) == fill_table(first, second)


def test_long_texts_take_reasonable_time() -> None:
    start = time.perf_counter()
    assert edit_distance("word " * 20_000, "word, " * 20) == 99_900
    assert edit_distance("ab" * 2_000, "ba" * 2_000) == 2
    assert time.perf_counter() - start < 5
