"""One page about a folder of weights: for people, and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Any
from unicodedata import east_asian_width

from internvl.overview.inventory import Accounts, Overview, Part

WIDTH = 100
_INDENT = 18
_MANY = 12


def render(overview: Overview) -> str:
    """The page as text, at most 100 columns wide where no single word is longer."""
    size = f"{_size(overview.bytes)} on disk"
    lines = [overview.path, f"{overview.kind}, {size}: {'can be used' if overview.is_usable else 'cannot be used'}", ""]
    if overview.family is not None:
        lines += _write("comes from", overview.family.text)
    for name, text in overview.facts.items():
        lines += _write(name, text)
    if overview.parts:
        lines += ["", *_tabulate(overview.parts)]
    if overview.accounts is not None:
        lines += ["", *_write("tensors", _sum_up(overview.accounts))]
        lines += _list_names(overview.accounts)
    for number, (reason, names) in enumerate((overview.unused or {}).items()):
        lines += _write("not read" if number == 0 else "", f"{', '.join(_shorten(names))} ({reason})")
    if overview.uses:
        lines.append("")
        # In one line each, to be copied.
        lines += [name.ljust(_INDENT - 1) + " " + text for name, text in overview.uses]
    for title, texts in (("worth knowing", overview.remarks), ("problems", overview.problems)):
        if texts:
            lines += ["", title, *(line for text in texts for line in _wrap(text, "  - ", "    "))]
    return "\n".join(lines) + "\n"


def to_json(overview: Overview) -> str:
    """The same for programs."""
    values: dict[str, Any] = asdict(overview)
    if overview.family is not None:
        families = overview.family.families
        values["family"] = {
            "text": overview.family.text,
            "names": [family.name for family in families],
            "hub": [f"OpenGVLab/{name}" for family in families for name in family.hub],
            "evidence": overview.family.evidence,
        }
    return json.dumps(values, ensure_ascii=False, indent=1) + "\n"


def _tabulate(parts: Iterable[Part]) -> list[str]:
    parts = list(parts)
    if len(parts) > 1:
        sizes = [part.bytes for part in parts]
        dtypes = tuple(sorted({dtype for part in parts for dtype in part.dtypes}))
        total = None if None in sizes else sum(size or 0 for size in sizes)
        parts.append(Part("all", sum(p.tensors for p in parts), sum(p.parameters for p in parts), dtypes, total))
    rows = [("part", "tensors", "parameters", "", "on disk", "type")]
    rows += [
        (
            part.name,
            f"{part.tensors:,}",
            f"{part.parameters:,}",
            _count(part.parameters),
            "?" if part.bytes is None else _size(part.bytes),
            ", ".join(part.dtypes) or "?",
        )
        for part in parts
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    widths[0] = max(widths[0], _INDENT - 2)
    return [
        "  ".join(
            [row[0].ljust(widths[0]), *(row[column].rjust(widths[column]) for column in range(1, 5)), row[5]]
        ).rstrip()
        for row in rows
    ]


def _sum_up(accounts: Accounts) -> str:
    """The accounts in a sentence."""
    kinds = {
        "missing": accounts.missing,
        "unexpected": accounts.unexpected,
        "of another shape": accounts.reshaped,
        "passed over": accounts.ignored,
    }
    told = [f"{len(names):,} {kind}" for kind, names in kinds.items() if names]
    fits = ["every one is used, and every parameter has one"] if accounts.are_right else []
    return f"{accounts.stored:,} in the files; {', '.join(fits + told)}"


def _list_names(accounts: Accounts) -> Iterator[str]:
    """The names of tensors that do not fit."""
    for kind, names in (
        ("missing", accounts.missing),
        ("unexpected", accounts.unexpected),
        ("another shape", accounts.reshaped),
    ):
        for number, name in enumerate(_shorten(names)):
            yield from _write(f"  {kind}" if number == 0 else "", name)


def _shorten(names: tuple[str, ...]) -> list[str]:
    if len(names) <= _MANY:
        return list(names)
    return [*names[: _MANY - 1], f"and {len(names) - _MANY + 1:,} more"]


def _write(name: str, text: str) -> list[str]:
    return list(_wrap(text, name.ljust(_INDENT - 1) + " ", " " * _INDENT))


def _wrap(text: str, first: str, then: str) -> Iterator[str]:
    """Lines of at most the width of the page; Chinese letters take two columns, and may be parted anywhere."""
    line, used = first, len(first)
    is_empty = True
    for piece in _split(text):
        width = _measure(piece.rstrip())
        if used + width > WIDTH and not is_empty:
            yield line.rstrip()
            line, used = then, len(then)
            piece = piece.lstrip()
        line += piece
        used += _measure(piece)
        is_empty = False
    yield line.rstrip()


def _split(text: str) -> Iterator[str]:
    """Words with the space behind them, and single wide letters."""
    word = ""
    for letter in text.replace("\n", "\\n"):
        if _is_wide(letter):
            yield from filter(None, (word, letter))
            word = ""
        elif letter == " ":
            yield word + letter
            word = ""
        else:
            word += letter
    if word:
        yield word


def _is_wide(letter: str) -> bool:
    return east_asian_width(letter) in "WF"


def _measure(text: str) -> int:
    return sum(1 + _is_wide(letter) for letter in text)


def _count(number: int) -> str:
    for size, unit in ((10**9, "B"), (10**6, "M"), (10**3, "K")):
        if number >= size:
            return f"{number / size:.3g} {unit}" if number < 1000 * size else f"{number / size:,.0f} {unit}"
    return str(number)


def _size(number: int) -> str:
    for size, unit in ((10**9, "GB"), (10**6, "MB"), (10**3, "KB")):
        if number >= size:
            return f"{number / size:.1f} {unit}"
    return f"{number} bytes"
