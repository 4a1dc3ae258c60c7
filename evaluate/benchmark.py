"""What a benchmark is, and how one is found by name: every file in `evaluate/benchmarks/` lists its own.

Benchmark files import light things only, so that a list of names or a mistyped one is answered at once.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import sys
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

from evaluate.sample import Generation, Prediction, Sample
from evaluate.scorer import Scorer
from internvl.errors import InputError, MissingError


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
        title, split: what stands above its column in a results table; without a title, the name.
    """

    name: str
    size: int | None = None
    protocol: str = "internvl-v1.2"
    generation: Generation = field(default_factory=Generation)
    groups: tuple[str, ...] = ()
    preparation: tuple[str, ...] = ()
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

    def submission(self, predictions: Sequence[Prediction], samples: Sequence[Sample], folder: Path) -> None:  # noqa: B027
        """Write the file a test server or another tool takes; by default there is none."""

    def load(self, root: Path) -> list[Sample]:
        """The samples, checked: files, ids, published size, first and last picture.

        Raises:
            MissingError: a data file or picture is not there.
            InputError: the data is not what was published.
        """
        for name in self.files:
            if not (root / name).is_file():
                raise MissingError(
                    f"{self.name}: expected the file {root / name}, which does not exist; "
                    f"docs/data/{self.name}.md says how to get it"
                )
        samples = list(self.samples(root))
        if not samples:
            raise InputError(f"{self.name}: expected samples in {', '.join(self.files)}, got none; get the data again")
        seen: set[str] = set()
        for sample in samples:
            if sample.id in seen:
                raise InputError(f"{self.name}: expected unique ids, got {sample.id!r} twice; get the data again")
            seen.add(sample.id)
        if self.size is not None and len(samples) != self.size:
            raise InputError(
                f"{self.name}: expected {self.size} samples, got {len(samples)}; get the data again, or name the "
                "difference with --allow-size"
            )
        for sample in (samples[0], samples[-1]):
            for picture in sample.prompt.images:
                if isinstance(picture, Path) and not picture.is_file():
                    raise MissingError(
                        f"{self.name}: expected the picture {picture} of sample {sample.id}, which does not exist; "
                        f"docs/data/{self.name}.md says how to get it"
                    )
        return samples


def list_benchmarks(extra: Sequence[Path] = ()) -> dict[str, Benchmark]:
    """All benchmarks by name: the files of `evaluate/benchmarks/`, then files of the user's."""
    folder = Path(__file__).parent / "benchmarks"
    modules = [importlib.import_module(f"evaluate.benchmarks.{file.stem}") for file in sorted(folder.glob("[a-z]*.py"))]
    found: dict[str, Benchmark] = {}
    for module in [*modules, *(_load_file(path) for path in extra)]:
        for benchmark in module.BENCHMARKS:
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
            close = difflib.get_close_matches(name, [*known, *groups], n=3, cutoff=0.4)
            hint = f"did you mean {' or '.join(close)}?" if close else "see sh evaluate.sh --list"
            raise InputError(f"benchmark: expected a known name, got {name!r}; {hint}")
        for benchmark in [known[name]] if name in known else groups[name]:
            chosen[benchmark.name] = benchmark
    if not chosen:
        raise InputError("benchmark: expected at least one name, got none; see sh evaluate.sh --list")
    return list(chosen.values())


def _load_file(path: Path) -> ModuleType:
    # A name of its own: `json.py` must not replace the module that is called so.
    spec = importlib.util.spec_from_file_location(f"benchmark_file_{path.stem}", path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise MissingError(f"--benchmark: expected a Python file, got {path}, which is none; check the path")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their own module up
    spec.loader.exec_module(module)
    if not hasattr(module, "BENCHMARKS"):
        raise InputError(f"--benchmark: expected a list BENCHMARKS in {path}, got none; see CONTRIBUTING.md")
    return module
