"""What a benchmark needs, and what of that is there: for the command that checks, and for the pages of docs/."""

from __future__ import annotations

import importlib.util
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from evaluate.benchmark import Benchmark
from evaluate.conversion import find_conversions
from evaluate.data_file import find_problem
from evaluate.demo.marker import find_demo
from evaluate.sample import Sample, list_missing
from internvl.errors import MissingError

JUDGE_KEY = "OPENAI_API_KEY"
_SECONDS = 5.0
"""Between two lines about a long list of pictures."""


@dataclass(frozen=True, slots=True)
class Needs:
    """What a benchmark needs.

    Attributes:
        name: of the benchmark.
        about: one sentence.
        files: relative to the root folder.
        size: published number of samples.
        key: environment variable that the judge's key stands in; empty where there is no judge.
        packages: to be installed beside those of the project.
        commands: that get the data.
    """

    name: str
    about: str
    files: tuple[str, ...]
    size: int | None
    key: str
    packages: tuple[str, ...]
    commands: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DataFile:
    """A data file, and its bytes; None where it is not there."""

    path: str
    num_bytes: int | None


@dataclass(frozen=True, slots=True)
class Inventory:
    """What is there.

    Attributes:
        needs: what there should be.
        files: all of them.
        num_samples: that were read; None where they could not be.
        num_pictures: files of pictures and videos that were looked for.
        missing_pictures: those that are not there.
        missing_packages: those that are not installed.
        has_key: whether the judge, if there is one, can be asked.
        problems: what is there and wrong, a line each.
        makeable: files that are not there, and whose originals are.
        is_demo: the data was generated for demonstration.
    """

    needs: Needs
    files: tuple[DataFile, ...]
    num_samples: int | None
    num_pictures: int
    missing_pictures: tuple[str, ...]
    missing_packages: tuple[str, ...]
    has_key: bool
    problems: tuple[str, ...]
    makeable: tuple[str, ...] = ()
    is_demo: bool = False

    @property
    def ready(self) -> bool:
        """Whether the benchmark can be run and scored."""
        there = all(file.num_bytes is not None for file in self.files)
        return there and self.has_key and not (self.missing_pictures or self.missing_packages or self.problems)


def describe_needs(benchmark: Benchmark) -> Needs:
    """What a benchmark says about itself."""
    lines = (sys.modules[type(benchmark).__module__].__doc__ or "").splitlines()
    return Needs(
        name=benchmark.name,
        about=lines[0] if lines else "",
        files=benchmark.files,
        size=benchmark.size,
        key=JUDGE_KEY if benchmark.judged else "",
        packages=benchmark.packages,
        commands=benchmark.preparation,
    )


def has_key(needs: Needs) -> bool:
    """Whether the judge, if there is one, can be asked."""
    return not needs.key or bool(os.environ.get(needs.key, "").strip())


def take_inventory(benchmark: Benchmark, root: Path, *, all_pictures: bool = False) -> Inventory:
    """Look for everything that a benchmark needs; whatever is wrong with one is told and raises nothing.

    Args:
        benchmark: which.
        root: folder that the data lies in.
        all_pictures: look for every picture, and not for those of the first and the last sample alone.
    """
    needs = replace(describe_needs(benchmark), files=benchmark.choose_files(root))
    demo = find_demo(root, needs.files)
    if demo is not None:
        command = f"sh evaluate.sh demo {needs.name} --root {demo.folder}"
        needs = replace(needs, size=demo.sizes.get(needs.name), commands=(command,))
    files = [root / name for name in needs.files]
    there = tuple(DataFile(str(file), file.stat().st_size if file.is_file() else None) for file in files)
    packages = tuple(name for name in needs.packages if importlib.util.find_spec(name) is None)
    remedy = "the commands below get it"
    problems = [f"{needs.name}: {error}" for file in files if file.exists() and (error := find_problem(file, remedy))]
    samples: list[Sample] = []
    if not problems and not packages and all(file.num_bytes is not None for file in there):
        try:
            samples, errors = benchmark.read(root)
            problems += map(str, errors)
        except Exception as error:  # a mistake in one benchmark must not hide the others
            told = " ".join(f"{type(error).__name__} {error}".split())
            problems.append(f"{needs.name}: expected samples that can be read, got {told}; get the data again")
    looked = samples if all_pictures else samples[:: max(1, len(samples) - 1)]
    num_pictures, missing = _look_for_pictures(needs.name, looked)
    for sample in samples[:: max(1, len(samples) - 1)]:
        errors = benchmark.find_picture_problems(sample, root)
        problems += [f"{needs.name}: {error}" for error in errors if not isinstance(error, MissingError)]
    return Inventory(
        needs,
        there,
        len(samples) or None,
        num_pictures,
        missing,
        packages,
        has_key(needs),
        tuple(problems),
        tuple(row.output for row in find_conversions(benchmark) if not row.beside and row.is_due(root)),
        demo is not None,
    )


def _look_for_pictures(name: str, samples: Sequence[Sample]) -> tuple[int, tuple[str, ...]]:
    """How many there should be, and which are not there; each file is looked for once."""
    missing: dict[str, None] = {}
    seen: set[Path] = set()
    told = time.monotonic()
    for number, (sample, paths) in enumerate(_select_new(samples, seen), 1):
        missing |= dict.fromkeys(str(path) for path in list_missing(sample) if path in paths)
        if time.monotonic() - told > _SECONDS:
            told = time.monotonic()
            print(f"{name}: looked for {len(seen):,} pictures, {number:,} samples", file=sys.stderr, flush=True)
    return len(seen), tuple(missing)


def _select_new(samples: Sequence[Sample], seen: set[Path]) -> Iterator[tuple[Sample, set[Path]]]:
    """Samples with files that no sample before them had."""
    for sample in samples:
        chat = sample.prompt
        paths = {picture for picture in chat.images if isinstance(picture, Path)}
        if chat.video is not None:
            paths.add(chat.video.path)
        if new := paths - seen:
            seen |= new
            yield sample, new
