"""How two versions of a converted file differ: rows that one of them lacks, their order, and values by key."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePath
from typing import Any

from internvl.errors import InputError

_AROUND = 30
_BESIDE = "(beside the lists)"
Rows = list[dict[str, Any]]


def read_lists(path: PurePath, content: bytes) -> dict[str, Rows]:
    """The lists of rows of a converted file, by name.

    Raises:
        InputError: it is of another layout.
    """
    try:
        text = content.decode("utf-8")
        if path.suffix == ".txt":
            cells = [line.split("\t") for line in text.split("\n") if line]
            return {"": [{str(place): cell for place, cell in enumerate(row, 1)} for row in cells]}
        if path.suffix == ".jsonl":
            return {"": _to_rows(json.loads(line) for line in text.split("\n") if line.strip())}
        whole = json.loads(text)
    except (ValueError, RecursionError) as error:
        told = " ".join(str(error).split())
        raise InputError(
            f"{path}: expected the layout of a converted file, got {told}; replace it with --force"
        ) from None
    if not isinstance(whole, dict):
        return {"": _to_rows(whole if isinstance(whole, list) else [whole])}
    lists = {name: _to_rows(rows) for name, rows in whole.items() if isinstance(rows, list)}
    return lists | {_BESIDE: [{name: rows for name, rows in whole.items() if name not in lists}]}


def list_differences(there: Mapping[str, Rows], made: Mapping[str, Rows], key: Sequence[str]) -> list[str]:
    """A line per difference; none where the content is the same.

    Args:
        there: lists of the file that is there.
        made: lists of what its originals give.
        key: names a row; where several have the same one, their order tells them apart.
    """
    lines = []
    for name in dict.fromkeys([*there, *made]):
        start = f"{name}: " if name else ""
        if name not in made or name not in there:
            lines.append(f"{start}{'only in the file that is there' if name in there else 'only made'}")
        else:
            lines += [f"{start}{line}" for line in _compare(there[name], made[name], key)]
    return lines


def _compare(there: Rows, made: Rows, key: Sequence[str]) -> list[str]:
    if there == made:
        return []
    old, new = _index(there, key), _index(made, key)
    lines = [f"{_count(len(there))} there, {len(made):,} made"] if len(there) != len(made) else []
    for rule, one, other in (("there", old, new), ("made", new, old)):
        alone = [name for name in one if name not in other]
        if alone:
            lines.append(f"only {rule}: {_count(len(alone))}, the first is {_show(key, alone[0])}")
    shared = [name for name in old if name in new]
    if shared != [name for name in new if name in old]:
        lines.append("the order of rows differs")
    for column in dict.fromkeys(column for row in (*there, *made) for column in row):
        wrong = [name for name in shared if _differs(old[name], new[name], column)]
        if wrong:
            first, second = old[wrong[0]], new[wrong[0]]
            values = _excerpt(_tell(first, column), _tell(second, column))
            lines.append(
                f"`{column}` differs in {len(wrong):,} of {_count(len(shared))}, first in {_show(key, wrong[0])}: "
                f"{values[0]} is there, {values[1]} is made"
            )
    return lines


def _differs(old: Mapping[str, Any], new: Mapping[str, Any], column: str) -> bool:
    return (column in old) != (column in new) or old.get(column) != new.get(column)


def _count(number: int) -> str:
    return f"{number:,} row{'' if number == 1 else 's'}"


def _index(rows: Rows, key: Sequence[str]) -> dict[tuple[str, int], dict[str, Any]]:
    """Rows by their key, and by how often it came before."""
    found: dict[tuple[str, int], dict[str, Any]] = {}
    seen: Counter[str] = Counter()
    for row in rows:
        name = json.dumps([row.get(column) for column in key])
        found[name, seen[name]] = row
        seen[name] += 1
    return found


def _show(key: Sequence[str], name: tuple[str, int]) -> str:
    values = json.loads(name[0])
    return ", ".join(f"{column} {str(value)!r:.80}" for column, value in zip(key, values, strict=True))


def _tell(row: Mapping[str, Any], column: str) -> str:
    return json.dumps(row[column], ensure_ascii=False) if column in row else "nothing"


def _excerpt(one: str, other: str) -> tuple[str, str]:
    """Both texts around the first place where they differ."""
    place = next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    start = max(0, place - _AROUND)
    cut = [
        ("…" if start else "") + text[start : place + _AROUND] + ("…" if len(text) > place + _AROUND else "")
        for text in (one, other)
    ]
    return cut[0], cut[1]


def _to_rows(rows: Iterable[Any]) -> Rows:
    return [row if isinstance(row, dict) else {"": row} for row in rows]
