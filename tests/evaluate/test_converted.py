"""Converted files: how rows are written, the note of sources beside them, and that a file is whole or not there."""

from __future__ import annotations

import gc
import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evaluate.conversion import Conversion, Original
from evaluate.converted import convert, describe_sources, name_sources, write
from internvl.errors import InputError
from tests.evaluate.originals import write as write_original

ROWS: list[dict[str, Any]] = [{"a": 1, "b": "é\u2028"}, {"a": 2, "b": "\ud83d"}]


def make(output: str, **more: Any) -> Conversion:
    return Conversion(output, (Original("data/a.json", "get a"),), lambda path: ROWS, key=("a",), **more)


def test_the_suffix_says_how_rows_are_written(tmp_path: Path) -> None:
    path = write_original(tmp_path, "data/a.json", [])
    lines = convert(make("b.jsonl"), (path,))
    assert (lines.content.count(b"\n"), lines.num_rows, lines.counts) == (2, 2, {"": 2})
    assert [json.loads(line) for line in lines.content.splitlines()] == ROWS
    assert json.loads(convert(make("b.json"), (path,)).content) == ROWS
    lists = replace(make("b.json", head={"info": {}}), convert=lambda path: {"x": ROWS[:1], "y": iter(ROWS)})
    made = convert(lists, (path,))
    assert json.loads(made.content) == {"info": {}, "x": ROWS[:1], "y": ROWS}
    assert (made.num_rows, made.counts) == (2, {"x": 1, "y": 2})
    tabs = replace(make("b.txt"), convert=lambda path: ROWS[:1])
    assert convert(tabs, (path,)).content == "1\té\u2028\n".encode()


def test_sources_are_told_the_same_every_time(tmp_path: Path) -> None:
    path = write_original(tmp_path, "data/a.json", [])
    row = make("b.jsonl", version=3)
    note = describe_sources(row, convert(row, (path,)), tmp_path)
    assert note == describe_sources(row, convert(row, (path,)), tmp_path)
    told = json.loads(note)
    assert told["sources"] == [{"path": "data/a.json", "bytes": 2, "sha256": hashlib.sha256(b"[]").hexdigest()}]
    content = convert(row, (path,)).content
    assert (told["sha256"], told["bytes"]) == (hashlib.sha256(content).hexdigest(), len(content))
    assert (told["file"], told["num_rows"], told["version"], told["converter"]) == ("b.jsonl", 2, 3, __name__)
    folder = replace(row, originals=(Original("data", "get it", pattern="*.json"),))
    first = json.loads(describe_sources(folder, convert(folder, (path.parent,)), tmp_path))["sources"][0]
    assert (first["path"], first["files"], first["bytes"]) == ("data", 1, 2)
    path.rename(path.with_name("c.json"))
    second = json.loads(describe_sources(folder, convert(folder, (path.parent,)), tmp_path))["sources"][0]
    assert first["sha256"] != second["sha256"]
    assert name_sources(Path("data/b.jsonl")) == Path("data/b.jsonl.source.json")


def test_no_rows_and_what_is_no_data_are_refused(tmp_path: Path) -> None:
    path = write_original(tmp_path, "data/a.json", "version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(
        InputError, match=r"b.jsonl: expected data in .*/a.json, got a pointer of git-lfs; get the file again"
    ):
        convert(make("b.jsonl"), (path,))
    path.write_text("[]")
    with pytest.raises(InputError, match=r"a.json: expected rows for b.jsonl, got none; get the file again"):
        convert(replace(make("b.jsonl"), convert=lambda path: []), (path,))


def test_a_mistake_in_the_middle_leaves_everything_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def break_off(path: Path) -> Iterator[dict[str, Any]]:
        yield ROWS[0]
        assert not gc.isenabled()
        raise InputError("here")

    path = write_original(tmp_path, "data/a.json", [])
    with pytest.raises(InputError, match="here"):
        convert(replace(make("b.jsonl"), convert=break_off), (path,))
    assert gc.isenabled()
    write(tmp_path / "new" / "b.jsonl", b"old")

    def fail(self: Path, content: bytes) -> int:
        with self.open("wb") as file:
            file.write(content[:2])
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "new" / "b.jsonl", b"another")
    assert [(file.name, file.read_bytes()) for file in (tmp_path / "new").iterdir()] == [("b.jsonl", b"old")]
