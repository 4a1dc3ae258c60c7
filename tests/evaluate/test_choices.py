"""The wording of multiple choice, by its examples."""

from __future__ import annotations

import doctest

from evaluate import choices
from evaluate.choices import PROMPT, letter, word_question


def test_examples_are_true() -> None:
    assert doctest.testmod(choices) == (0, 2)


def test_hint_comes_first_and_letters_may_have_gaps() -> None:
    assert word_question("Q ", {"A": "x", "D": ""}, hint="h\nh2") == f"h\nh2\nQ \nA. x\nD. \n{PROMPT}"
    assert word_question("Q", {}, "P") == "Q\nP"
    assert list(letter("x" * 30))[-1] == "Z"
