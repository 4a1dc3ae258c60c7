"""The marker of demonstration data: where it lies, and what is said of every number that comes from it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

FILE, FOLDER = "demo.json", Path("playground/demo")
ENDING = "+demo"
"""What names of runs and models end with."""
CAUTION = "generated demonstration data, no benchmark number"
_VERSION = 1


@dataclass(frozen=True, slots=True)
class Demo:
    """Demonstration data that lies in a folder.

    Attributes:
        folder: that the marker lies in.
        sizes: numbers of samples by benchmark.
        files: everything that was written, relative to the folder.
    """

    folder: Path
    sizes: Mapping[str, int]
    files: tuple[str, ...]

    def write(self) -> None:
        """Write the marker."""
        content = {"about": CAUTION, "version": _VERSION, "benchmarks": self.sizes, "files": self.files}
        (self.folder / FILE).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def find_demo(root: Path, files: Sequence[str] = ()) -> Demo | None:
    """The demonstration data that a folder holds, or that links in it lead to.

    Args:
        root: the folder.
        files: data files in it.
    """
    behind = (parent for name in files for parent in (root / name).resolve().parents)
    return next((demo for folder in dict.fromkeys([root, *behind]) if (demo := read_demo(folder)) is not None), None)


def read_demo(folder: Path) -> Demo | None:
    """The demonstration data of a folder with a marker."""
    try:
        content = json.loads((folder / FILE).read_text(encoding="utf-8"))
        if content["about"] != CAUTION:
            return None
        return Demo(folder, dict(content["benchmarks"]), tuple(map(str, content["files"])))
    except (OSError, ValueError, TypeError, KeyError):
        return None
