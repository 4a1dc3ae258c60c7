"""What can be wrong with a data file, by kind of file: whole files, rows, and values of a column."""

from __future__ import annotations

import base64
import csv
import io
import json
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Row = dict[str, Any]
HTML = b"<!DOCTYPE html>\n<html><body>Access denied</body></html>\n"
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
WRONG_VALUES: tuple[Any, ...] = (None, 7.5, "~~~", "", ["~~~"], {}, True)
WRONG_CELLS = ("", "~~~", "7.5")
ID_KEYS = ("question_id", "questionId", "id", "index", "lndex", "image_id")
MUST_WORK = ("byte order mark", "line ends of Windows")


@dataclass(frozen=True, slots=True)
class Mutation:
    """A data file that is not what was published.

    Attributes:
        name: what is wrong.
        content: of the file.
        table: the list of rows that it is about, where the file has several.
        column: that it is about; empty for rows or the whole file.
    """

    name: str
    content: bytes
    table: str = ""
    column: str = ""


def mutate(path: Path) -> Iterator[Mutation]:
    """All that can be done to a file."""
    content = path.read_bytes()
    yield from mutate_file(path, content)
    if path.suffix == ".parquet":
        yield from mutate_table(content)
    elif path.suffix in (".tsv", ".csv", ".txt"):
        yield from mutate_cells(path, content)
    elif path.suffix in (".json", ".jsonl"):
        yield from mutate_objects(content)


def mutate_file(path: Path, content: bytes) -> Iterator[Mutation]:
    """Whole files."""
    middle = len(content) // 2
    yield Mutation("empty", b"")
    yield Mutation("cut off", content[:middle])
    yield Mutation("a web page", HTML)
    yield Mutation("a pointer of git-lfs", POINTER)
    if path.suffix != ".parquet":
        yield Mutation("Latin-1", content[:middle] + "é".encode("latin-1") + content[middle:])
        yield Mutation("UTF-16", content.decode().encode("utf-16"))
        yield Mutation(MUST_WORK[0], b"\xef\xbb\xbf" + content)
        yield Mutation(MUST_WORK[1], content.replace(b"\n", b"\r\n"))


def mutate_objects(content: bytes) -> Iterator[Mutation]:
    """Rows and values of JSON and JSONL."""
    lines = is_lines(content)
    whole: Any = [json.loads(line) for line in content.splitlines()] if lines else json.loads(content)

    def write(value: Any) -> bytes:
        text = "".join(json.dumps(row) + "\n" for row in value) if lines else json.dumps(value)
        return text.encode()

    if not lines:
        yield Mutation("another kind of content", b"7\n")
        yield Mutation("an empty list", b"[]\n")
        yield Mutation("an empty object", b"{}\n")
    for name in find_tables(whole):
        for told, column, change in list_changes(pick(whole, name)):
            copy = deepcopy(whole)
            change(pick(copy, name))
            yield Mutation(told, write(copy), name, column)


def is_lines(content: bytes) -> bool:
    """Whether a file has an object per line, whatever its name."""
    try:
        json.loads(content)
    except ValueError:
        return True
    return False


def find_tables(whole: Any) -> list[str]:
    """Where lists of objects stand: at the top, or under a key."""
    if isinstance(whole, list):
        return [""]
    lists = [key for key, value in whole.items() if isinstance(value, list) and value and isinstance(value[0], dict)]
    return lists or [""]


def pick(whole: Any, name: str) -> Any:
    return whole[name] if name else whole


def list_changes(rows: Any) -> Iterator[tuple[str, str, Any]]:
    """What can be done to a list of objects, or to an object of objects; all at the last but one."""
    place = list(rows)[-2] if isinstance(rows, dict) else len(rows) - 2
    sample = rows[place]

    def assign(column: str, value: Any) -> Any:
        return lambda found: found[place].__setitem__(column, value)

    yield "a row that is no object", "", lambda found: found.__setitem__(place, 7)
    yield "a row less", "", lambda found: found.pop(place)
    key = next((key for key in ID_KEYS if key in sample), "")
    if isinstance(rows, list):
        yield "a row twice", "", lambda found: found.append(deepcopy(found[place]))
        other = 987_654_321 if isinstance(sample.get(key), int) else "987654321"
        yield "a row more", "", lambda found: found.append({**deepcopy(found[place]), **({key: other} if key else {})})
    for column, value in sample.items():
        yield "no such key", column, lambda found, column=column: found[place].pop(column)
        for wrong in WRONG_VALUES:
            if type(wrong) is not type(value) or value == "":
                yield f"{wrong!r} in place of {type(value).__name__}", column, assign(column, wrong)
        if isinstance(value, list) and value:
            for wrong in (None, {}, 7.5, [], "~~~"):
                if type(wrong) is not type(value[0]):
                    yield f"{wrong!r} in the list", column, assign(column, [wrong, *value[1:]])
            yield "an entry less", column, assign(column, value[1:])
            yield "no entry", column, assign(column, [])


def mutate_cells(path: Path, content: bytes) -> Iterator[Mutation]:
    """Rows and cells of tables of text."""
    delimiter = "," if path.suffix == ".csv" else "\t"
    rows = list(csv.reader(io.StringIO(content.decode(), newline=""), delimiter=delimiter))
    named = path.suffix != ".txt"

    def write(table: list[list[str]]) -> bytes:
        if not named:
            return "".join("\t".join(row) + "\n" for row in table).encode()
        stream = io.StringIO(newline="")
        csv.writer(stream, delimiter=delimiter, lineterminator="\n").writerows(table)
        return stream.getvalue().encode()

    yield Mutation("a row less", write([*rows[:-2], rows[-1]]))
    yield Mutation("a row twice", write([*rows, rows[-2]]))
    yield Mutation("a cell more", write([*rows[:-1], [*rows[-1], "more"]]))
    yield Mutation("a cell less", write([*rows[:-1], rows[-1][:-1]]))
    for place in range(len(rows[0])):
        name = rows[0][place] if named else str(place)
        yield Mutation("no such column", write([row[:place] + row[place + 1 :] for row in rows]), column=name)
        wrong = (*WRONG_CELLS, *((base64.b64encode(HTML).decode(),) if name == "image" else ()))
        for cell in wrong:
            changed = [*rows[-2][:place], cell, *rows[-2][place + 1 :]]
            yield Mutation(f"{cell!r} as a cell", write([*rows[:-2], changed, rows[-1]]), column=name)


def mutate_table(content: bytes) -> Iterator[Mutation]:
    """Rows and columns of Parquet."""
    import pyarrow
    from pyarrow import parquet

    table = parquet.read_table(io.BytesIO(content))
    rows = table.to_pylist()

    def write(changed: Any) -> bytes:
        stream = io.BytesIO()
        parquet.write_table(changed, stream)
        return stream.getvalue()

    yield Mutation("no rows", write(table.slice(0, 0)))
    yield Mutation("a row less", write(table.slice(1)))
    yield Mutation("a row twice", write(pyarrow.concat_tables([table, table.slice(0, 1)])))
    for name in table.column_names:
        yield Mutation("no such column", write(table.drop_columns([name])), column=name)
        place = table.column_names.index(name)
        kinds: tuple[tuple[str, Any], ...] = (
            ("numbers", pyarrow.array([7.5] * len(rows))),
            ("nulls", pyarrow.array([None] * len(rows), table.schema.field(name).type)),
            ("lists", pyarrow.array([["~~~"]] * len(rows))),
            ("another text", pyarrow.array(["~~~"] * len(rows))),
            ("no bytes", pyarrow.array([{"bytes": b"", "path": ""}] * len(rows))),
        )
        for told, values in kinds:
            yield Mutation(f"{told} in the column", write(table.set_column(place, name, values)), column=name)
