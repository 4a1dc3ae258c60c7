"""Yes and no in any spelling, and nothing else."""

from __future__ import annotations

import doctest
import time

import pytest

from evaluate.scorers import yes_no
from evaluate.scorers.yes_no import read_yes


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *(("NO", False), ("No!", False), ("No。", False), ("no\n", False), ("It isn’t", False), ("(yes)", True)),
        *(("", None), ("nope", None), ("unclear", None), ("eyes", None), ("snow", None), ("Yes. No.", True)),
        *(("Yes, some say. Answer: no", False), ("False", False), ("It is TRUE", True), ("untrue", None)),
        *(("否", False), ("是的", True), ("不是", False), ("没有", False), ("有", True), ("图中", None)),
    ],
)
def test_any_spelling_is_read(text: str, expected: bool | None) -> None:
    assert read_yes(text) is expected


def test_example_is_true() -> None:
    assert doctest.testmod(yes_no) == (0, 1)


def test_very_long_answer_is_read_quickly() -> None:
    start = time.perf_counter()
    for text in ("no" * 50_000, "isn'" * 25_000, "a " * 50_000):
        read_yes(text)
    assert time.perf_counter() - start < 1
