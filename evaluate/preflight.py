"""Before a model loads: the data of all benchmarks together, room for the answers, and keys for judges."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from evaluate.benchmark import Benchmark
from evaluate.inventory import describe_needs, has_key
from evaluate.sample import Generation, Sample
from internvl.errors import InputError, MissingError

_LEAST_BYTES = 100_000_000
"""Logs and reports beside the answers, and what other programs write meanwhile."""
_BYTES_PER_SAMPLE, _BYTES_PER_TOKEN = 1_000, 8


@dataclass
class Mistakes:
    """Mistakes of several benchmarks, told together."""

    errors: list[InputError] = field(default_factory=list)

    @contextmanager
    def gather(self) -> Iterator[None]:
        """Keep a mistake for later."""
        try:
            yield
        except InputError as error:
            self.errors.append(error)

    def settle(self, rest: str = "nothing was run") -> None:
        """Raise what was kept: a single mistake as it is, several as a list with a line each.

        Args:
            rest: what has become of everything else.
        """
        if len(self.errors) == 1:
            raise self.errors[0]
        if self.errors:
            lines = "".join(f"\n  {error}" for error in self.errors)
            told = InputError(f"benchmarks: expected no mistake, got {len(self.errors)}; {rest}:{lines}")
            codes = {error.exit_code for error in self.errors}
            told.exit_code = codes.pop() if len(codes) == 1 else told.exit_code
            raise told


@dataclass(frozen=True, slots=True)
class Loaded:
    """Benchmarks with their samples, and those that are left out.

    Attributes:
        pairs: what can be run.
        skipped: name and first reason of what cannot.
    """

    pairs: tuple[tuple[Benchmark, list[Sample]], ...]
    skipped: tuple[tuple[str, str], ...] = ()

    def describe_skipped(self) -> list[str]:
        """A line for each that is left out."""
        return [f"skipped: {reason}" for _, reason in self.skipped]


def load_all(
    benchmarks: Iterable[Benchmark], root: Path, *, allow_size: bool = False, skip_missing: bool = False
) -> Loaded:
    """Load the data of all benchmarks.

    Args:
        benchmarks: that were named.
        root: folder that the data lies in.
        allow_size: accept another number of samples than published.
        skip_missing: leave out benchmarks of which something is not there; what is there and wrong stays a mistake.

    Raises:
        InputError: all that is missing and wrong, or nothing is there.
    """
    mistakes, pairs, skipped = Mistakes(), [], []
    for benchmark in benchmarks:
        if allow_size:
            benchmark = replace(benchmark, size=None)
        samples, errors = benchmark.examine(root)
        if skip_missing and errors and all(isinstance(error, MissingError) for error in errors):
            skipped.append((benchmark.name, str(errors[0])))
        elif errors:
            mistakes.errors += errors
        else:
            pairs.append((benchmark, samples))
    missing = all(isinstance(error, MissingError) for error in mistakes.errors)
    mistakes.settle("nothing was run" + ("; --skip-missing runs what is there" if pairs and missing else ""))
    if not pairs:
        raise InputError(
            f"--skip-missing: expected the data of one benchmark at least, got none of {len(skipped)}; "
            f"see sh evaluate.sh check {','.join(name for name, _ in skipped)}"
        )
    return Loaded(tuple(pairs), tuple(skipped))


def estimate_bytes(samples: Sequence[Sample], generation: Generation) -> int:
    """An upper bound of what answers and records take, if every answer is as long as it may be."""
    questions = sum(len(turn.text.encode()) for sample in samples for turn in sample.prompt.turns)
    # An answer stands in the part file and in the records.
    answer = 2 * _BYTES_PER_TOKEN * generation.max_new_tokens
    return questions + len(samples) * (_BYTES_PER_SAMPLE + answer)


def require_room(folder: Path, num_bytes: int) -> None:
    """Refuse to start what the disk has no room for.

    Args:
        folder: that results go to; it need not exist.
        num_bytes: that will be written.

    Raises:
        InputError: the disk of the folder is too full.
    """
    wanted = max(_LEAST_BYTES, num_bytes)
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(there).free
    if free < wanted:
        raise InputError(
            f"--output: expected {wanted / 1e6:,.0f} MB of room for answers in {folder}, got {free / 1e6:,.0f} MB; "
            "make room, or choose another --output"
        )


def note_keys(benchmarks: Iterable[Benchmark]) -> list[str]:
    """What waits for a judge's key that is not there."""
    needs = [describe_needs(benchmark) for benchmark in benchmarks]
    return [
        f"note: {need.name}: no key for the judge in {need.key}: everything that needs no judge still runs; the number "
        "waits until the key is exported and the same command is given again"
        for need in needs
        if not has_key(need)
    ]
