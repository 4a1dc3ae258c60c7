"""Long lists of JSON, entry by entry."""

from __future__ import annotations

import json
import tracemalloc
from itertools import islice
from pathlib import Path

import pytest

from internvl.errors import InputError, MissingError
from internvl.json_stream import stream_objects

VALUES = [
    {"a": [1, -2.5e-3, {"b": None}], "text": 'brackets ]}," and \\ and "quotes" and é\U0001f600'},
    [],
    {},
    12,
    1.5,
    1e10,
    "] , [",
    True,
    None,
    {"long": "x" * 300, "nested": [[[[]]]]},
]


def read(path: Path, chunk: int = 1 << 20) -> list[object]:
    return [value for _, value in stream_objects(path, chunk=chunk)]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "long.json"


@pytest.mark.parametrize("chunk", [*range(1, 20), 1000])
@pytest.mark.parametrize("options", [{}, {"indent": 3}, {"ensure_ascii": False}, {"separators": (",", ":")}])
def test_every_way_to_cut_the_file_gives_the_same_entries(file, chunk, options):
    file.write_text(json.dumps(VALUES, **options), encoding="utf-8")
    assert read(file, chunk) == VALUES


def test_entries_are_named_from_one(file):
    file.write_text("[3, 4]")
    assert list(stream_objects(file)) == [(f"{file}: entry 1", 3), (f"{file}: entry 2", 4)]


@pytest.mark.parametrize("content", ["[]", " [\n] \n", "\ufeff[ ]"])
def test_an_empty_list_has_no_entries(file, content):
    file.write_text(content, encoding="utf-8")
    assert read(file, 1) == []


@pytest.mark.parametrize(
    ("content", "entries", "problem"),
    [
        ("", [], "expected a list, got its end; get the file again"),
        ('{"a": 1}', [], "expected a list, got '{"),
        (
            "[1, 2",
            [1, 2],
            "entry 2: expected a comma or the end of the list behind it, got its end; get the file again",
        ),
        ("[1, 2,", [1, 2], "entry 3: expected JSON, got Expecting value; get the file again"),
        ("[1,]", [1], "entry 2: expected JSON, got Expecting value; get the file again"),
        ("[,]", [], "entry 1: expected JSON, got Expecting value; get the file again"),
        ("[1 2]", [1], "entry 1: expected a comma or the end of the list behind it, got '2]'; get the file again"),
        ("[1] [2]", [1], "expected nothing behind the list, got '[2]'; get the file again"),
        ('[1, {"a": [}, {"b": 2}]', [1], "entry 2: expected JSON, got Expecting value; get the file again"),
        ('[1, {"a": "b', [1], "entry 2: expected JSON, got Unterminated string starting at; get the file again"),
        ("[1, " + "[" * 100_000, [1], "entry 2: expected JSON, got maximum recursion depth"),
    ],
)
@pytest.mark.parametrize("chunk", [1, 1 << 20])
def test_what_is_before_a_mistake_is_given_and_the_mistake_has_a_place(file, content, entries, problem, chunk):
    if chunk == 1 and len(content) > 1000:
        chunk = 1000
    file.write_text(content)
    stream = stream_objects(file, chunk=chunk)
    assert [value for _, value in islice(stream, len(entries))] == entries
    with pytest.raises(InputError) as error:
        next(stream)
    assert str(error.value).startswith(f"{file}: {problem}")


def test_other_encodings_are_told(file):
    file.write_bytes(b'["\xff"]')
    with pytest.raises(InputError, match=r"long\.json: expected UTF-8, got invalid start byte; get the file again"):
        read(file)


def test_a_missing_file_is_told(file):
    with pytest.raises(MissingError, match=r"long\.json: expected a file, got none; give one"):
        read(file)


def test_a_mistake_is_told_without_reading_on(file):
    file.write_text('[{"a" 1}, ' + "0, " * 10_000 + "0]")
    seen = []
    with pytest.raises(InputError, match="entry 1"):
        list(stream_objects(file, progress=lambda done, size: seen.append(done), chunk=100))
    assert seen == []


def test_progress_ends_with_the_whole_file(file):
    file.write_text(json.dumps(["x" * 50] * 100))
    seen: list[tuple[int, int]] = []
    list(stream_objects(file, progress=lambda *numbers: seen.append(numbers), chunk=64))
    size = file.stat().st_size
    assert len(seen) == 100
    assert seen == sorted(seen)
    assert seen[-1] == (size, size)


def test_memory_is_that_of_an_entry_not_of_the_file(file):
    entry = json.dumps({"text": "x" * 20_000})
    file.write_text(f"[{', '.join([entry] * 500)}]")
    tracemalloc.start()
    assert sum(1 for _ in stream_objects(file, chunk=1000)) == 500
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000 < 10_000_000 < file.stat().st_size
