"""Targets of MileBench: levels of pictures, and data that nobody can answer rightly."""

from __future__ import annotations

import pytest

from evaluate.scorers.milebench_target import (
    LEVELS,
    MilebenchTarget,
    check_choice,
    check_text,
    list_levels,
    name_level,
)
from internvl.errors import InputError


def test_levels_change_at_six_and_at_thirty_two_pictures() -> None:
    assert [name_level(number) for number in (0, 1, 5, 6, 31, 32, 109)] == [
        *("Few", "Few", "Few", "Medium", "Medium", "Many", "Many")
    ]
    assert {list_levels(MilebenchTarget("a", (), number, "TQA")) for number in (2, 8, 40)} == {(x,) for x in LEVELS}


def test_an_answer_among_the_options_is_found_after_the_clean_up() -> None:
    check_choice(MilebenchTarget("take the paper notebook", ("Stop.", "Take the paper/notebook."), 5, "X"), "row 1")


def test_an_answer_that_is_no_option_is_told_with_its_place_and_a_few_options() -> None:
    options = tuple(f"image{number}" for number in range(1, 64))
    with pytest.raises(InputError, match=r"^GPR1200\.json row 7: expected an answer that is .* got 'B' and") as told:
        check_choice(MilebenchTarget("B", options, 64, "GPR1200"), "GPR1200.json row 7")
    assert "'image6', ...; fetch" in str(told.value)
    assert "image7" not in str(told.value)
    with pytest.raises(InputError, match="options none; fetch"):
        check_choice(MilebenchTarget("B", (), 64, "GPR1200"), "row 7")


@pytest.mark.parametrize("answer", ["", " ?!", "..", "." * 40])
def test_an_answer_without_a_word_cannot_be_compared_with(answer: str) -> None:
    with pytest.raises(InputError, match="row 3: expected an answer with a word to compare with, got "):
        check_text(MilebenchTarget(answer, (), 2, "IEdit"), "row 3")
    check_text(MilebenchTarget(f"{answer}5", (), 2, "IEdit"), "row 3")
