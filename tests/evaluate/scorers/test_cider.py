"""CIDEr by hand; tests/golden/captions.json is compared with in test_captions.py."""

from __future__ import annotations

import math

import pytest

from evaluate.scorers.cider import count_grams, score_cider


def score(pictures: list[tuple[str, list[str]]]) -> list[float]:
    captions = [count_grams(caption.split()) for caption, _ in pictures]
    return score_cider(captions, [[count_grams(text.split()) for text in texts] for _, texts in pictures])


def test_phrases_are_counted_up_to_four_words() -> None:
    one, two, three, four = count_grams(["a", "b", "a", "b"])
    assert one == {("a",): 2, ("b",): 2}
    assert two == {("a", "b"): 2, ("b", "a"): 1}
    assert (three.total(), four) == (2, {("a", "b", "a", "b"): 1})
    assert [counts.total() for counts in count_grams([])] == [0] * 4


def test_the_same_words_get_ten_and_other_words_nothing() -> None:
    assert score([("a red bus stops", ["a red bus stops"]), ("x", ["two dogs"])]) == pytest.approx([10.0, 0.0])


def test_word_of_every_picture_weighs_nothing_and_one_picture_scores_zero() -> None:
    assert score([("the", ["the", "the"]), ("the", ["the"])]) == [0.0, 0.0]
    assert score([("a red bus", ["a red bus"])]) == [0.0]
    assert score([]) == []


def test_other_length_is_punished_and_repeated_words_count_once() -> None:
    first, _ = score([("red red red", ["red"]), ("x", ["y"])])
    # One order of four has something in common: clipped 1 of 3, over the norms 3 and 1, and two pairs of words more.
    assert first == pytest.approx(10 / 4 * (1 / 3) * math.exp(-4 / 72))
