"""Reading free answers, by its examples; test_mmmu.py and test_cmmmu.py hold the stored outputs."""

from __future__ import annotations

import doctest
import math

from evaluate.scorers import open_answer
from evaluate.scorers.open_answer import find_tails, matches_any, read_number


def test_examples_are_true() -> None:
    assert doctest.testmod(open_answer) == (0, 2)


def test_marks_of_the_last_piece_count_there_alone() -> None:
    assert find_tails(["a = 1", "b = 2"], [], ["="]) == ["2"]
    assert find_tails(["it is :", "it is so"], ["is "], [], ":") == ["so"]
    assert find_tails([""], ["is "], ["="]) == []


def test_numbers_are_what_a_number_may_be_and_match_by_value() -> None:
    assert [read_number(text) for text in ("-0.005", "1e3", "1_000", "２", "12%", "")] == [
        *(-0.01, 1000.0, 1000.0, 2.0, None, None)
    ]
    nan = read_number("nan")
    assert nan is not None
    assert math.isnan(nan)
    assert not matches_any([nan, 1.0], [math.nan, "1.0"])
    assert matches_any(["dark red"], ["red"])
    assert matches_any([2.0], ["x", 2.0])
    assert not matches_any([], ["x"])
