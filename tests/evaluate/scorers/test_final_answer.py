"""Final answers against tests/golden/scienceqa.json and pope.json."""

from __future__ import annotations

import time
from typing import Any

import pytest

from evaluate.scorers.final_answer import find_final_answer


@pytest.mark.golden("scienceqa", kind="extract_answer_later")
def test_answer_to_a_choice_agrees_with_the_original(case: dict[str, Any]) -> None:
    assert find_final_answer(case["input"]["text"]) == case["expected"]["text"]


@pytest.mark.golden("pope", kind="extract_answer_later")
def test_yes_or_no_agrees_with_the_original(case: dict[str, Any]) -> None:
    assert find_final_answer(case["input"]["text"]) == case["expected"]["text"]


def test_very_long_answer_is_read_quickly() -> None:
    start = time.perf_counter()
    for text in ("answer" * 20_000, "answer: " + " \t" * 50_000, "ANSWER:\n" * 15_000):
        find_final_answer(text)
    assert time.perf_counter() - start < 1
