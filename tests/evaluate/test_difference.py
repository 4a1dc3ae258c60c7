"""Differences of converted files: rows, order and values, named by a key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from evaluate.difference import list_differences, read_lists
from internvl.errors import InputError


def ask(*numbers: int, **more: Any) -> dict[str, list[dict[str, Any]]]:
    return {"": [{"id": number, "text": f"question {number}", **more} for number in numbers]}


def test_equal_rows_have_no_difference_however_they_are_written() -> None:
    lines = b'{"id": 1, "a": "\xc3\xa9", "b": 2}\n\n{"id": 2}'
    other = b'{"b": 2.0, "a": "\\u00e9", "id": 1}\n{"id": 2}\n'
    one, two = (read_lists(Path("a.jsonl"), content) for content in (lines, other))
    assert list_differences(one, two, ("id",)) == []
    whole = [
        read_lists(Path("a.json"), text) for text in (b'{"x": [{"id": 1}], "info": 1}', b'{"info":1,"x":[{"id":1}]}')
    ]
    assert list_differences(whole[0], whole[1], ("id",)) == []


def test_rows_that_one_of_them_lacks_are_counted() -> None:
    assert list_differences(ask(1, 2, 3, 4), ask(1, 5, 2), ("id",)) == [
        "4 rows there, 3 made",
        "only there: 2 rows, the first is id '3'",
        "only made: 1 row, the first is id '5'",
    ]


def test_order_and_rows_with_the_same_key_are_told_apart() -> None:
    assert list_differences(ask(1, 2), ask(2, 1), ("id",)) == ["the order of rows differs"]
    assert list_differences(ask(1, 1), ask(1), ("id",)) == [
        "2 rows there, 1 made",
        "only there: 1 row, the first is id '1'",
    ]


def test_values_are_shown_around_the_first_difference() -> None:
    there = {"": [{"id": 1, "text": "a" * 100 + "?\n options: x" + "b" * 100, "extra": 0}, {"id": 2, "text": "same"}]}
    made = {"": [{"id": 1, "text": "a" * 100 + "? options: x" + "b" * 100}, {"id": 2, "text": "same"}]}
    text, extra = list_differences(there, made, ("id",))
    start = "a" * 29 + "?"
    assert text.startswith(f"`text` differs in 1 of 2 rows, first in id '1': …{start}\\n options: x")
    assert f"… is there, …{start} options: x" in text
    assert len(text) < 220
    assert extra == "`extra` differs in 1 of 2 rows, first in id '1': 0 is there, nothing is made"


def test_lists_and_what_stands_beside_them_are_named() -> None:
    there = read_lists(Path("a.json"), b'{"images": [{"id": 1}], "info": {}, "annotations": [{"id": 1, "a": 2}]}')
    made = read_lists(Path("a.json"), b'{"annotations": [{"id": 1, "a": 3}], "other": [], "info": {}}')
    assert list_differences(there, made, ("id",)) == [
        "images: only in the file that is there",
        "annotations: `a` differs in 1 of 1 row, first in id '1': 2 is there, 3 is made",
        "other: only made",
    ]
    tables = [read_lists(Path("a.txt"), text) for text in (b"1.jpg\tIs it?\tYes\n", b"1.jpg\tIs it?\tNo")]
    assert list_differences(tables[0], tables[1], ("1", "2")) == [
        "`3` differs in 1 of 1 row, first in 1 '1.jpg', 2 'Is it?': \"Yes\" is there, \"No\" is made"
    ]


def test_a_file_of_another_layout_is_named() -> None:
    for content in (b'{"id": 1', "é".encode("latin-1"), b"[" * 200_000):
        with pytest.raises(InputError, match=r"a.jsonl: expected the layout of a converted file, got .*; replace it"):
            read_lists(Path("a.jsonl"), content)
    assert read_lists(Path("a.jsonl"), b"7\n") == {"": [{"": 7}]}
