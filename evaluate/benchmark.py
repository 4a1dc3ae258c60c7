"""What a benchmark is, and how one is found by name: every file in `evaluate/benchmarks/` lists its own.

Benchmark files import light things only, so that a list of names or a mistyped one is answered at once.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evaluate.judging import Rubric
from evaluate.sample import Generation, Prediction, Sample, list_missing
from evaluate.scorer import Scorer
from evaluate.user_file import import_file, tell_error
from internvl.errors import InputError, MissingError


@dataclass(frozen=True, slots=True)
class Parity:
    """What a number is known to agree with.

    Attributes:
        official: the code whose outputs were stored.
        families: of stored outputs in `tests/golden/`, which tests compare with.
    """

    official: str
    families: tuple[str, ...]


@dataclass(frozen=True)
class Benchmark(ABC):
    """Samples, wording and targets of one benchmark.

    Attributes:
        name: the word behind `evaluate.sh <checkpoint>`.
        size: published number of samples; another number is an error.
        protocol: whose prompts and rules these are; printed with every number.
        generation: the published generation settings.
        groups: names that run several benchmarks together.
        preparation: the commands that get the data, run from the root folder; never run by themselves.
        parity: what proves that prompts and rule are those of the protocol; None where they are our own.
        judged: a model behind a server scores the answers; it needs a key in OPENAI_API_KEY.
        packages: that reading the data or scoring imports, beside those of the project.
        title, split: what stands above its column in a results table; without a title, the name.
    """

    name: str
    size: int | None = None
    protocol: str = "internvl-v1.2"
    generation: Generation = field(default_factory=Generation)
    groups: tuple[str, ...] = ()
    preparation: tuple[str, ...] = ()
    parity: Parity | None = None
    judged: bool = False
    packages: tuple[str, ...] = ()
    title: str = ""
    split: str = ""

    @property
    @abstractmethod
    def files(self) -> tuple[str, ...]:
        """Data files that must exist, relative to the root folder."""

    @property
    @abstractmethod
    def metric(self) -> str:
        """The headline number in words, for tables."""

    @abstractmethod
    def samples(self, root: Path) -> Sequence[Sample]:
        """All samples, in published order."""

    @abstractmethod
    def scorer(self) -> Scorer | None:
        """The rule; None where only a test server can score."""

    def rubric(self) -> Rubric | None:
        """How a judge is asked about the answers; None where none is."""
        return None

    def submission(self, predictions: Sequence[Prediction], samples: Sequence[Sample], folder: Path) -> None:  # noqa: B027
        """Write the file a test server or another tool takes; by default there is none."""

    def review(  # noqa: B027
        self, predictions: Sequence[Prediction], verdicts: Sequence[str], samples: Sequence[Sample], folder: Path
    ) -> None:
        """Write the published files of judged answers; by default there are none."""

    def load(self, root: Path) -> list[Sample]:
        """The samples, checked: files, ids, published size, first and last picture.

        Raises:
            MissingError: a data file or picture is not there.
            InputError: the data is not what was published.
        """
        samples, errors = self.examine(root)
        if errors:
            raise errors[0]
        return samples

    def examine(self, root: Path) -> tuple[list[Sample], list[InputError]]:
        """As many samples as can be read, and all that `load` would complain about."""
        samples, errors = self.read(root)
        errors += [
            MissingError(
                f"{self.name}: expected the picture {picture} of sample {sample.id}, which does not exist; "
                f"docs/data/{self.name}.md says how to get it"
            )
            for sample in samples[:: max(1, len(samples) - 1)]
            for picture in list_missing(sample)
        ]
        return samples, errors

    def read(self, root: Path) -> tuple[list[Sample], list[InputError]]:
        """As many samples as can be read, and all that is wrong with them or with the files they are in."""
        errors: list[InputError] = [
            MissingError(f"{self.name}: expected the package {name}, which is not installed; install it")
            for name in self.packages
            if importlib.util.find_spec(name) is None
        ]
        errors += [
            MissingError(
                f"{self.name}: expected the file {root / name}, which does not exist; "
                f"docs/data/{self.name}.md says how to get it"
            )
            for name in self.files
            if not (root / name).is_file()
        ]
        if errors:
            return [], errors
        try:
            samples = list(self.samples(root))
        except InputError as error:
            return [], [error]
        except Exception as error:  # a benchmark of the user's, or a value of another kind in the data
            told = f"{self.name}: expected samples that can be read, got {tell_error(error)}"
            return [], [InputError(f"{told}; correct the data, or the file of the benchmark")]
        for position, sample in enumerate(samples):
            if problem := _find_problem(sample):
                told = f"{self.name}: expected samples with an id and a prompt of text, got {problem} at {position}"
                return [], [InputError(f"{told}; correct the data, or the file of the benchmark")]
        if not samples:
            errors.append(
                InputError(f"{self.name}: expected samples in {', '.join(self.files)}, got none; get the data again")
            )
        counts = Counter(sample.id for sample in samples)
        errors += [
            InputError(f"{self.name}: expected unique ids, got {name!r} twice; get the data again")
            for name in [name for name, count in counts.items() if count > 1][:1]
        ]
        if samples and self.size not in (None, len(samples)):
            errors.append(
                InputError(
                    f"{self.name}: expected {self.size} samples, got {len(samples)}; get the data again, or name the "
                    "difference with --allow-size"
                )
            )
        return samples, errors


def _find_problem(sample: Any) -> str:
    """Why a sample cannot be asked or stored; empty where it can."""
    if not isinstance(sample, Sample):
        return type(sample).__name__
    name: Any = sample.id
    if not isinstance(name, str):
        return f"the id {name!r}"
    try:
        "".join([name, *(turn.text for turn in sample.prompt.turns)]).encode()
    except UnicodeEncodeError as error:
        return f"{error.object[error.start : error.end]!a}, which is half of a character,"
    return ""


def list_benchmarks(extra: Sequence[Path] = ()) -> dict[str, Benchmark]:
    """All benchmarks by name: the files of `evaluate/benchmarks/`, then files of the user's."""
    folder = Path(__file__).parent / "benchmarks"
    modules = [importlib.import_module(f"evaluate.benchmarks.{file.stem}") for file in sorted(folder.glob("[a-z]*.py"))]
    found: dict[str, Benchmark] = {}
    for module in [*modules, *(import_file(path, "--benchmark", "BENCHMARKS") for path in extra)]:
        for benchmark in module.BENCHMARKS:
            name = getattr(benchmark, "name", None) if isinstance(benchmark, Benchmark) else None
            if not isinstance(name, str) or not re.fullmatch(r"\w[\w.+-]*", name):
                raise InputError(
                    f"benchmark: expected benchmarks named by letters, digits and -_.+ in {module.__file__}, got "
                    f"{name or benchmark!r}; rename it"
                )
            if benchmark.name in found:
                raise InputError(
                    f"benchmark: expected unique names, got {benchmark.name!r} again in {module.__file__}; rename it"
                )
            found[benchmark.name] = benchmark
    return found


def find(names: str, extra: Sequence[Path] = ()) -> list[Benchmark]:
    """The benchmarks of a comma-separated list of names, groups, or `all`.

    Raises:
        InputError: an unknown name, with the closest known ones.
    """
    known = list_benchmarks(extra)
    groups: dict[str, list[Benchmark]] = {"all": list(known.values())}
    for benchmark in known.values():
        for group in benchmark.groups:
            groups.setdefault(group, []).append(benchmark)
    chosen: dict[str, Benchmark] = {}
    for name in filter(None, names.split(",")):
        if name not in known and name not in groups:
            close = difflib.get_close_matches(name, [*known, *groups], n=3, cutoff=0.5)
            hint = f"did you mean {' or '.join(close)}?" if close else "see sh evaluate.sh --list"
            raise InputError(f"benchmark: expected a known name, got {name!r}; {hint}")
        for benchmark in [known[name]] if name in known else groups[name]:
            chosen[benchmark.name] = benchmark
    if not chosen:
        raise InputError("benchmark: expected at least one name, got none; see sh evaluate.sh --list")
    return list(chosen.values())
