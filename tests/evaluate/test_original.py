"""Entries of annotation files: what is read, and what is said about those that are wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from evaluate.original import Entry, find_answer, index_entries, read_content, read_list, read_table
from internvl.errors import InputError

ENTRY = Entry("a.json: entry 1", {"text": "a", "number": 1, "flag": True, "texts": ["a", "b"], "rows": [{}, 1]})


def test_values_have_the_type_that_is_asked_for() -> None:
    assert (ENTRY.text("text"), ENTRY.number("number"), ENTRY.texts("texts")) == ("a", 1, ["a", "b"])
    assert (ENTRY.word("text"), ENTRY.word("number"), ENTRY.pick("texts", 1)) == ("a", 1, "b")
    for call, told in (
        (lambda: ENTRY.text("number"), "expected a text as `number`, got 1"),
        (lambda: ENTRY.number("flag"), "expected a whole number as `flag`, got True"),
        (lambda: ENTRY.word("flag"), "expected a text or a number as `flag`, got True"),
        (lambda: ENTRY.texts("none"), "expected a list of texts as `none`, got no `none`"),
        (lambda: ENTRY.pick("texts", -1), "expected a place in `texts` from 0 to 1, got -1"),
        (lambda: ENTRY.entries("text"), "expected a list of objects as `text`, got 'a'"),
    ):
        with pytest.raises(InputError) as caught:
            call()
        assert str(caught.value) == f"a.json: entry 1: {told}; get the file again"
    with pytest.raises(InputError, match=r"a.json: entry 1, `rows` 2: expected an object, got 1; get"):
        ENTRY.entries("rows")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b" \n", "expected JSON, got an empty file"),
        (b'{"data": [', "expected JSON in UTF-8, got Expecting value"),
        ('["中文"]'.encode("gbk"), "expected JSON in UTF-8, got 'utf-8' codec"),
        (b"[" * 200_000, "expected JSON in UTF-8, got maximum recursion"),
    ],
)
def test_files_that_are_no_json_are_named(tmp_path: Path, content: bytes, told: str) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_content(path)
    assert str(caught.value).startswith(f"{path}: {told}")
    assert str(caught.value).endswith("; get the file again")


def test_layouts_are_checked(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"data": [{"a": 1}, 2], "b": {}}')
    rows = read_list(path, "data")
    assert next(rows) == Entry(f"{path}: data 1", {"a": 1})
    with pytest.raises(InputError, match="data 2: expected an object, got 2"):
        next(rows)
    with pytest.raises(InputError, match="expected a list, got another layout"):
        read_list(path)
    with pytest.raises(InputError, match="expected an object with the list `rows`, got another layout"):
        read_list(path, "rows")
    with pytest.raises(InputError, match="entry 'data': expected an object, got"):
        read_table(path)
    path.write_text("[]")
    with pytest.raises(InputError, match="expected an object with entries by id, got another layout"):
        read_table(path)


def test_keys_are_unique() -> None:
    rows = [Entry(f"{number}", {"id": key}) for number, key in enumerate((7, "7", 7))]
    assert list(index_entries(rows[:2], "id")) == [7, "7"]
    with pytest.raises(InputError, match="2: expected `id` once, got 7 again"):
        index_entries(rows, "id")
    with pytest.raises(InputError, match="0: expected a whole number or a text as `name`, got no `name`"):
        index_entries(rows, "name")


def test_the_first_of_the_most_frequent_answers_counts() -> None:
    assert find_answer(ENTRY, ["x", *["b", "a"] * 4, "y"]) == "b"
    with pytest.raises(InputError, match="expected ten answers, got 1"):
        find_answer(ENTRY, ["x"])
