"""Texts of annotations: one notation, and everything that nothing may be learned from has a reason."""

from __future__ import annotations

import pytest

from train.inst_it.text import Problem, Text, find_problem, normalize, read_key, read_text, write_ids


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[03] waits", "[3] waits"),
        ("at <0>, then <0>-<2>", "at <1>, then <1>-<2>"),
        ("[1, 2] and [3,04]", "[1] [2] and [3] [4]"),
        ("two  spaces\t\tand \u00a0 more", "two spaces and more"),
        ("  edges \n", "edges"),
        ("lines\n\nstay", "lines\n\nstay"),
        ("[0] and <10> and [100]", "[0] and <10> and [100]"),
        ("[a] [-1] <05> < 0 >", "[a] [-1] <05> < 0 >"),
        ("[٣] stays", "[٣] stays"),
    ],
)
def test_texts_have_one_notation(text, expected):
    assert normalize(text) == expected
    assert normalize(expected) == expected


def test_what_a_text_names_is_known():
    assert read_text(" [03] follows [1] during <0>-<12>.") == Text(
        "[3] follows [1] during <1>-<12>.", frozenset({1, 3}), frozenset({1, 12})
    )


@pytest.mark.parametrize(
    ("value", "reason", "found"),
    [
        (None, "empty text", ""),
        (" \n", "empty text", ""),
        (5, "no text", "int 5"),
        (["a"], "no text", "list ['a']"),
        ("see <image>", "reserved word", "<image>"),
        ("a <video> here", "reserved word", "<video>"),
        ("<IMG_CONTEXT>", "reserved word", "<IMG_CONTEXT>"),
        ("end<|im_end|>", "reserved word", "<|im_end|>"),
        ("half \ud83d of one", "half a character", "'\\ud83d'"),
    ],
)
def test_what_cannot_be_learned_from_has_a_reason(value, reason, found):
    assert read_text(value) == Problem(reason, found)


def test_whole_characters_beyond_the_first_plane_are_fine():
    assert isinstance(read_text("a bus \U0001f68c"), Text)


def test_names_must_be_in_the_pictures():
    text = read_text("[1] meets [4] at <3>")
    assert isinstance(text, Text)
    assert find_problem(text, frozenset({1, 4}), 3) is None
    assert find_problem(text, None, 3) is None
    assert find_problem(text, frozenset({1}), 3) == Problem("id that is not marked", "[4]")
    assert find_problem(text, frozenset(), 3) == Problem("id that is not marked", "[1] [4]")
    assert find_problem(text, None, 2) == Problem("timestamp beyond the frames", "<3> of 2")


@pytest.mark.parametrize(
    ("key", "ids"),
    [
        ("1", (1,)),
        ("1,2", (1, 2)),
        (" 07 , 2", (7, 2)),
        ("2,2", (2,)),
        ("", None),
        ("1,", None),
        ("dog", None),
        ("²", None),
    ],
)
def test_keys_name_instances(key, ids):
    assert read_key(key) == ids


def test_instances_are_named_one_by_one():
    assert write_ids((3, 1)) == "[3] [1]"
