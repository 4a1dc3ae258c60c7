"""Repetition: the published share of runs of words, and which rows it throws away."""

from __future__ import annotations

import pytest

from internvl.repetition import ngram_repetition, repeats_itself


@pytest.mark.golden("video_and_text_utils", kind="repetition")
def test_the_ratio_is_the_published_one(case, family):
    found = ngram_repetition(case["input"]["text"], case["input"]["n"])
    assert found == pytest.approx(case["expected"]["ratio"], abs=family["tolerance"])


@pytest.mark.golden("video_and_text_utils", kind="rejected")
def test_the_published_rows_are_thrown_away(case):
    answers = [turn["value"] for turn in case["input"]["conversations"] if turn["from"] == "gpt"]
    assert repeats_itself(answers) == case["expected"]["rejected"]


def test_a_long_passage_said_twice_is_found():
    passage = " ".join(f"word{number}" for number in range(100))
    assert repeats_itself(["Fine.", f"{passage} {passage}"])
    assert not repeats_itself(["Fine.", passage])
    assert not repeats_itself([])


def test_the_limit_itself_is_permitted():
    # Five pairs of words, of which two occur twice.
    text = "a b a b a c"
    assert ngram_repetition(text, 2) == 2 / 5
    assert not repeats_itself([text], threshold=0.4, n=2)
    assert repeats_itself([text], threshold=0.39, n=2)


def test_white_space_of_any_kind_separates_words():
    assert ngram_repetition("a\u3000b\n a\tb", 2) == 1 / 3
    assert ngram_repetition(" \n", 1) == 0
