"""Data files: every mistake names its file and line."""

from __future__ import annotations

from pathlib import Path

import pytest

from evaluate.jsonl import is_id, read_json, read_object, read_rows
from internvl.errors import InputError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "rows.jsonl"


def test_rows_come_with_file_and_line(file: Path) -> None:
    file.write_bytes(b'{"a": 1}\n\n{"a": 2}')
    assert list(read_rows(file, "a")) == [(f"{file}:1", {"a": 1}), (f"{file}:3", {"a": 2})]


def test_line_separators_inside_a_text_end_no_row(file: Path) -> None:
    text = "one\u2028two\u2029three\x85four\x0bfive"
    file.write_text(f'{{"a": "{text}"}}\n'.replace("\x0b", "\\u000b"), encoding="utf-8")
    assert [row for _, row in read_rows(file)] == [{"a": text}]


def test_windows_line_ends_are_read(file: Path) -> None:
    file.write_bytes(b'{"a": 1}\r\n{"a": 2}\r\n')
    assert [row["a"] for _, row in read_rows(file)] == [1, 2]


@pytest.mark.parametrize("line", [b'{"a": 1', b'{"a": "\xff"}', b"no"], ids=["cut", "no UTF-8", "no JSON"])
def test_broken_line_is_named(file: Path, line: bytes) -> None:
    file.write_bytes(b'{"a": 1}\n' + line + b'\n{"a": 2}\n')
    with pytest.raises(InputError, match=r"rows\.jsonl:2: expected JSON, got .*; get the file again"):
        list(read_rows(file, "a"))


@pytest.mark.parametrize("line", ['{"b": 1}', "[1]", "3"])
def test_missing_key_is_named(file: Path, line: str) -> None:
    file.write_text(f'{{"a": 1, "b": 2}}\n{line}\n')
    with pytest.raises(InputError, match=r"rows\.jsonl:2: expected the keys b, a, got no [ab]; get the file again"):
        list(read_rows(file, "b", "a"))


def test_whole_json_file_is_read(file: Path) -> None:
    file.write_text('{"a": ["é"]}', encoding="utf-8")
    assert read_json(file) == {"a": ["é"]}


@pytest.mark.parametrize("content", [b"", b'{"a": ', b'"\xff"'], ids=["empty", "cut", "no UTF-8"])
def test_broken_json_file_is_named(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    with pytest.raises(InputError, match=r"rows\.jsonl: expected JSON, got .*; get the file again"):
        read_json(file)


@pytest.mark.parametrize("content", ["{", "[]", "5"])
def test_what_is_no_object_is_named_with_the_remedy(file: Path, content: str) -> None:
    file.write_text('{"a": 1}')
    assert read_object(file, "wait") == {"a": 1}
    file.write_text(content)
    with pytest.raises(InputError, match=r": expected (JSON|an object), got .*; wait"):
        read_object(file, "wait")


def test_byte_order_marks_are_no_content(file: Path) -> None:
    file.write_bytes(b'\xef\xbb\xbf{"id": 1}\r\n')
    assert read_json(file) == {"id": 1}
    assert [row for _, row in read_rows(file, "id")] == [{"id": 1}]


def test_ids_are_whole_numbers_or_texts() -> None:
    assert all(map(is_id, (0, 7, "a", "0", " ")))
    assert not any(map(is_id, ("", None, True, 1.0, [1], {})))
