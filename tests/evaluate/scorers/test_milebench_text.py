"""MileBench's clean-up against tests/golden/milebench_process.json, and the words of the strict readings by eye."""

from __future__ import annotations

import time
from typing import Any

import pytest

from evaluate.scorers.milebench_text import join_words, list_words, process


@pytest.mark.golden("milebench_process")
def test_clean_up_agrees_with_the_original(case: dict[str, Any]) -> None:
    assert process(case["input"]["text"]) == case["expected"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ""),
        ("?! ...", ""),
        ("Image12, image_1 (Image 3)", "image 12 image 1 image 3"),
        ("2,000 or 2000 or 1,2,3", "2000 or 2000 or 1 2 3"),
        ("1,0000 and 12,345.60", "1 0000 and 12345.60"),
        ("3.5m, .5 and 3.", "3.5 m .5 and 3"),
        ("-5 is not 3-5 or well-known", "-5 is not 3 5 or well known"),
        ("$5.00, 50% and x^2 in C++", "$ 5.00 50 % and x ^ 2 in c + +"),
        ("**It's** `John's`", "its johns"),
        ("café 红色 Ünal", "café 红色 ünal"),
    ],
)
def test_words_by_eye(text: str, words: str) -> None:
    assert list_words(text) == words.split()


@pytest.mark.parametrize(
    ("part", "text", "stands"),
    [
        ("image1", "Image 1.", True),
        ("image1", "image12", False),
        ("5", "3.5", False),
        ("red", "dark, red!", True),
        ("a b", "a b a b", True),
        ("b c", "b-c", True),
        ("bc", "b c", False),
    ],
)
def test_only_whole_words_stand_in_a_text(part: str, text: str, stands: bool) -> None:
    assert (join_words(part) in join_words(text)) is stands


@pytest.mark.parametrize("unit", ["1,000", "9,", "-1.", ".0", "a'", "$", " ", "🙂"])
def test_long_text_is_cut_in_reasonable_time(unit: str) -> None:
    start = time.thread_time()
    assert list_words(unit * 20_000 + " end")[-1] == "end"
    assert time.thread_time() - start < 1
