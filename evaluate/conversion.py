"""What a conversion is, and which ones make the files of a benchmark: files of `evaluate/conversions/` list them.

A conversion makes one file that a benchmark reads from the original annotations that its authors publish.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from evaluate.benchmark import Benchmark

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Original:
    """A file or folder of original annotations.

    Attributes:
        path: relative to the root folder.
        command: that gets it, from the root folder; never run by itself.
        others: paths that it may have instead.
        pattern: of the files that are read, where it is a folder.
    """

    path: str
    command: str
    others: tuple[str, ...] = ()
    pattern: str = ""

    def find(self, root: Path) -> Path | None:
        """Where it lies; None where it does not."""
        places = [root / path for path in (self.path, *self.others)]
        return next((place for place in places if (place.is_dir() if self.pattern else place.is_file())), None)


@dataclass(frozen=True, slots=True)
class Conversion:
    """How one converted file is made.

    Attributes:
        output: the file, relative to the root folder; its suffix says how rows are written: `.jsonl` a line each,
            `.json` a list or, for several lists, an object of them, `.txt` a line of tabs each.
        originals: what it is made from.
        convert: from the path of every original to rows, or to several lists of rows by name.
        key: what names a row when two files are compared.
        size: published number of rows, of the last list where there are several.
        head: keys of the object beside the lists.
        beside: the file that it goes with, where no benchmark reads it itself.
        note: what is not known about the published file, and what is done instead.
        version: goes up when the same originals give another file.
    """

    output: str
    originals: tuple[Original, ...]
    convert: Callable[..., Iterable[Row] | Mapping[str, Iterable[Row]]]
    key: tuple[str, ...]
    size: int | None = None
    head: Row = field(default_factory=dict)
    beside: str = ""
    note: str = ""
    version: int = 1

    def find_originals(self, root: Path) -> list[Path | None]:
        """Where each original lies; None where it is not there."""
        return [original.find(root) for original in self.originals]

    def is_due(self, root: Path) -> bool:
        """Whether the file is not there, and all of its originals are."""
        return not (root / self.output).is_file() and None not in self.find_originals(root)


@cache
def list_conversions() -> tuple[Conversion, ...]:
    """All conversions, in the order of their files."""
    folder = Path(__file__).parent / "conversions"
    names = [f"evaluate.conversions.{file.stem}" for file in sorted(folder.glob("[a-z]*.py"))]
    return tuple(row for name in names for row in importlib.import_module(name).CONVERSIONS)


def find_conversions(benchmark: Benchmark) -> tuple[Conversion, ...]:
    """Those that make files of a benchmark, or files that go with them."""
    return tuple(row for row in list_conversions() if row.output in benchmark.files or row.beside in benchmark.files)
