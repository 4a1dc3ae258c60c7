"""Data files: every mistake names its file and line."""

from __future__ import annotations

import gc
import json
from pathlib import Path

import pytest

from evaluate.jsonl import is_id, keep_all, parse, quote, read_json, read_object, read_rows, read_some
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


@pytest.mark.parametrize(
    "line",
    [
        b'{"a": [1, 2.5, null]}\n',
        b' {"a": 1}',
        b'\xef\xbb\xbf{"a": 1}\r\n',
        b"NaN",
        '{"é": "図"}'.encode("utf-16-le"),
        b"1 \n",
    ],
    ids=["plain", "indented", "mark", "no number", "other encoding", "space"],
)
def test_a_line_is_read_as_by_json(line: bytes) -> None:
    assert repr(parse(line)) == repr(json.loads(line))


@pytest.mark.parametrize("line", [b'{"a": 1} {"b": 2}\n', b"", b'"\xff"'])
def test_what_json_refuses_is_refused(line: bytes) -> None:
    told = []
    for read in (json.loads, parse):
        with pytest.raises(ValueError, match=r"char|decode") as error:
            read(line)
        told.append(repr(error.value))
    assert told[0] == told[1]


def test_a_text_is_quoted_as_by_json() -> None:
    text = "".join(map(chr, [*range(0x250), 0x2028, 0xD83D, 0x1F642]))
    assert quote(text) == json.dumps(text, ensure_ascii=False)


def test_some_rows_are_found_by_their_places(file: Path) -> None:
    file.write_bytes(b'{"a": 0}\n\nbroken\n{"a": 2}\n')
    assert read_some(file, {0, 2}) == {0: {"a": 0}, 2: {"a": 2}}


def test_garbage_is_looked_for_again_afterwards() -> None:
    with keep_all():
        with keep_all():
            pass
        assert not gc.isenabled()
    assert gc.isenabled()
