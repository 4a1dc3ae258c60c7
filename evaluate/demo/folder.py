"""Writing demonstration data: whole or not at all, and never where other data lies."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from evaluate.benchmark import Benchmark, list_benchmarks
from evaluate.demo.marker import FILE, Demo, read_demo
from internvl.errors import InputError


def write_demo(root: Path, benchmarks: Sequence[Benchmark], *, force: bool = False) -> dict[str, tuple[int, int]]:
    """Write the data of benchmarks, beside that of others which lies there.

    Args:
        root: the folder.
        benchmarks: which.
        force: replace files of demonstration data that were changed, or are of another version.

    Returns:
        Samples and files of each benchmark; some share files.

    Raises:
        InputError: the folder holds other data.
    """
    root = root.resolve()
    there = read_demo(root)
    _require_own(root, there)
    known = list_benchmarks()
    kept = [known[name] for name in there.sizes if name in known] if there else []
    root.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=root.parent, prefix=f".{root.name}.") as scratch:
        new = Path(scratch) / "new"
        new.mkdir()
        counts = {b.name: _write_one(b, new, Path(scratch) / "part") for b in dict.fromkeys([*kept, *benchmarks])}
        files = tuple(sorted(path.relative_to(new).as_posix() for path in _walk(new)))
        Demo(new, {name: count for name, (count, _) in sorted(counts.items())}, files).write()
        if there and not force:
            _require_same(there, new)
        if root.exists():
            root.rename(Path(scratch) / "old")
        new.rename(root)
    return {benchmark.name: counts[benchmark.name] for benchmark in benchmarks}


def _write_one(benchmark: Benchmark, new: Path, part: Path) -> tuple[int, int]:
    from evaluate.demo.writers import WRITERS  # imports writers of pictures and tables

    WRITERS[benchmark.name](part)
    count = len(replace(benchmark, size=None).load(part))
    paths = list(_walk(part))
    for path in paths:
        target = new / path.relative_to(part)
        target.parent.mkdir(parents=True, exist_ok=True)
        path.replace(target)
    shutil.rmtree(part)
    return count, len(paths)


def _require_own(root: Path, there: Demo | None) -> None:
    """Refuse a folder with a file that no demonstration put there."""
    if root.exists() and not root.is_dir():
        raise InputError(f"--root: expected a folder, got the file {root}; choose another --root")
    own = {FILE, *there.files} if there else set()
    other = next((path for path in _walk(root) if path.relative_to(root).as_posix() not in own), None)
    if other is not None:
        rule = "demonstration data alone" if there else "an empty folder, or one of demonstration data"
        remedy = f"move {other.relative_to(root)} out of it, or " if there else ""
        raise InputError(f"--root: expected {rule}, got {other}; nothing was written, {remedy}choose another --root")


def _require_same(there: Demo, new: Path) -> None:
    """Refuse to replace what is not as it would be written now."""
    changed = [
        name
        for name in there.files
        if (path := there.folder / name).is_file()
        and not ((new / name).is_file() and path.read_bytes() == (new / name).read_bytes())
    ]
    if changed:
        raise InputError(
            f"{there.folder}: expected the demonstration data of this version, got others in {changed[0]}"
            f"{f' and {len(changed) - 1} more files' if len(changed) > 1 else ''}; replace them with --force"
        )


def _walk(folder: Path) -> Iterator[Path]:
    """All files, and links as they are."""
    return (path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())
