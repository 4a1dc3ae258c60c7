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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evaluate.answers import Answers, Outputs, read_answers
from evaluate.data_file import find_problem, name_stand_in
from evaluate.demo.marker import find_demo
from evaluate.jsonl import keep_all
from evaluate.judging import Rubric
from evaluate.sample import Generation, Prediction, Sample
from evaluate.scorer import Scorer
from evaluate.user_file import import_file, tell_error
from internvl.errors import InputError, MissingError

V1_2 = "d35c01480d01be2aa8ac42a0d9424bfae78d3d3c"
LATER = "2410d1dbf208f0e799459aff9376e5747dbf41a2"
"""Commits of InternVL: tag v1.2.2, and September 2025."""


@dataclass(frozen=True, slots=True)
class Parity:
    """What a number is known to agree with, and what it is known to differ from; docs/parity.md shows all of it.

    Attributes:
        official: the code whose outputs were stored.
        families: of stored outputs in `tests/golden/`, which tests compare with.
        commit: of the official code; `not known` where nothing says it.
        variant: what is other here than in the benchmark of the same file that carries the published name.
        differences: by name of another tool, how its numbers for the same benchmark come about.
    """

    official: str
    families: tuple[str, ...]
    commit: str = ""
    variant: str = ""
    differences: Mapping[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class Benchmark(ABC):
    """Samples, wording and targets of one benchmark.

    Attributes:
        name: the word behind `evaluate.sh <checkpoint>`.
        size: published number of samples; another number is an error, but for demonstration data.
        protocol: whose prompts and rules these are; printed with every number.
        generation: the published generation settings.
        groups: names that run several benchmarks together.
        preparation: the commands that get the data, run from the root folder; never run by themselves.
        parity: what proves that prompts and rule are those of the protocol; None where they are our own.
        judged: a model behind a server scores the answers; it needs a key in OPENAI_API_KEY.
        packages: that reading the data or scoring imports, beside those of the project.
        title, split: what stands above its column in a results table; without a title, the name.
        page: of docs/data/ that tells how to get the data; without one, the name.
        unlisted: an ablation of another benchmark, found by its name or its groups: not in `all`, no list and no page.
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
    page: str = ""
    unlisted: bool = False

    @property
    @abstractmethod
    def files(self) -> tuple[str, ...]:
        """Data files that must exist, relative to the root folder."""

    def choose_files(self, root: Path) -> tuple[str, ...]:
        """The data files that count in this root folder, of data that is published in several forms."""
        return self.files

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

    def match_answers(self, path: Path, samples: Sequence[Sample]) -> Answers:
        """The answers of another tool in a file."""
        return read_answers(path, samples)

    def find_outputs(self, folder: Path) -> Outputs | None:
        """What another tool has left in a folder of its outputs; None where none is known that leaves folders.

        Raises:
            InputError: the folder is of another layout.
        """
        return None

    def keep_answers(self, source: Path, folder: Path) -> None:  # noqa: B027
        """Put what another tool says beside its answers into the folder of the run; by default nothing is kept."""

    def submission(self, predictions: Sequence[Prediction], samples: Sequence[Sample], folder: Path) -> None:  # noqa: B027
        """Write the file a test server or another tool takes; by default there is none."""

    def review(  # noqa: B027
        self,
        predictions: Sequence[Prediction],
        verdicts: Sequence[str],
        samples: Sequence[Sample],
        folder: Path,
        account: Mapping[str, Any] | None = None,
    ) -> None:
        """Write the published files of scored answers; by default there are none.

        Args:
            predictions, samples: one each per answer.
            verdicts: what the rule read: of a judge, or the answers.
            folder: of the run.
            account: of the judging, where there was one.
        """

    def tabulate(self, folder: Path) -> list[str]:
        """Write the published tables over all benchmarks of this class, and give the lines to print.

        Args:
            folder: `results/<model>`, with the folders of the runs; by default there are no such tables.
        """
        return []

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

    def load_texts(self, root: Path) -> list[Sample]:
        """The samples as `load` gives them, without a look at their pictures, which scoring does not need.

        Raises:
            InputError: as `load` does.
        """
        samples, errors = self.read(root)
        if errors:
            raise errors[0]
        return samples

    def examine(self, root: Path) -> tuple[list[Sample], list[InputError]]:
        """As many samples as can be read, and all that `load` would complain about."""
        samples, errors = self.read(root)
        for sample in samples[:: max(1, len(samples) - 1)]:
            errors += [type(error)(f"{self.name}: {error}") for error in self.find_picture_problems(sample, root)]
        return samples, errors

    def find_picture_problems(self, sample: Sample, root: Path) -> list[InputError]:
        """Pictures and videos that are not there, or are something else; whether they can be decoded is seen later."""
        remedy, owner, chat = self._tell_source(root), f"sample {sample.id}", sample.prompt
        found = []
        for number, picture in enumerate(chat.images, 1):
            if isinstance(picture, Path):
                found.append(find_problem(picture, remedy, "picture", owner))
            elif isinstance(picture, bytes) and (kind := name_stand_in(picture)):
                found.append(InputError(f"{chat.source}: expected data in picture {number}, got {kind}; {remedy}"))
        if chat.video is not None and not chat.video.path.is_dir():  # it may be a folder of frames
            found.append(find_problem(chat.video.path, remedy, "video", owner))
        return [error for error in found if error is not None]

    @keep_all()
    def read(self, root: Path) -> tuple[list[Sample], list[InputError]]:
        """As many samples as can be read, and all that is wrong with them or with the files they are in."""
        errors: list[InputError] = [
            MissingError(f"{self.name}: expected the package {name}, which is not installed; install it")
            for name in self.packages
            if importlib.util.find_spec(name) is None
        ]
        remedy, files = self._tell_source(root), self.choose_files(root)
        found = [find_problem(root / name, remedy) for name in files]
        errors += [type(error)(f"{self.name}: {error}") for error in found if error is not None]
        if errors:
            return [], errors
        try:
            samples = list(self.samples(root))
        except InputError as error:
            return [], [error]
        except OSError as error:
            told = f"{self.name}: expected data that can be read, got {error.strerror} for {error.filename}"
            return [], [InputError(f"{told}; give yourself the rights, or get it again")]
        except Exception as error:  # a benchmark of the user's, or a value of another kind in the data
            told = f"{self.name}: expected samples that can be read, got {tell_error(error)}"
            return [], [InputError(f"{told}; correct the data, or the file of the benchmark")]
        for position, sample in enumerate(samples):
            if problem := _find_problem(sample):
                told = f"{self.name}: expected samples with an id and a prompt of text, got {problem} at {position}"
                return [], [InputError(f"{told}; correct the data, or the file of the benchmark")]
        if not samples:
            errors.append(
                InputError(f"{self.name}: expected samples in {', '.join(files)}, got none; get the data again")
            )
        if len({sample.id for sample in samples}) != len(samples):
            counts = Counter(sample.id for sample in samples)
            name = next(name for name, count in counts.items() if count > 1)
            places = [s.prompt.source for s in samples if s.id == name and ":" in s.prompt.source]
            told = f"{name!r} twice" + (f", in {' and '.join(places[:2])}" if places else "")
            errors.append(InputError(f"{self.name}: expected unique ids, got {told}; get the data again"))
        demo = find_demo(root, files)
        size = self.size
        if demo and size is not None:
            # A variant asks the questions of a benchmark that was written, under a name that the marker has not.
            size = demo.sizes.get(self.name, None if {*files} <= {*demo.files} else size)
        if samples and size not in (None, len(samples)):
            errors.append(
                InputError(
                    f"{self.name}: expected {size} samples, got {len(samples)}; get "
                    f"{', '.join(files[:3])}{', ...' if len(files) > 3 else ''} again, or name the "
                    "difference with --allow-size"
                )
            )
        return samples, errors

    def _tell_source(self, root: Path) -> str:
        demo = find_demo(root)
        if demo is not None:
            return f"sh evaluate.sh demo {self.name} --root {demo.folder} writes it"
        return f"docs/data/{self.page or self.name}.md says how to get it"


def _find_problem(sample: Any) -> str:
    """Why a sample cannot be asked or stored; empty where it can."""
    if not isinstance(sample, Sample):
        return type(sample).__name__
    name: Any = sample.id
    if not isinstance(name, str):
        return f"the id {name!r}"
    try:
        for text in [name, *[turn.text for turn in sample.prompt.turns]]:
            if not text.isascii():
                text.encode()
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
    groups: dict[str, list[Benchmark]] = {"all": [b for b in known.values() if not b.unlisted]}
    for benchmark in known.values():
        for group in benchmark.groups:
            groups.setdefault(group, []).append(benchmark)
    folded = {other.lower(): other for other in [*groups, *known]}  # published names are written in both cases
    chosen: dict[str, Benchmark] = {}
    for name in filter(None, names.split(",")):
        if name not in known and name not in groups:
            name = folded.get(name.lower(), name)
        if name not in known and name not in groups:
            close = [other for other in known if other.endswith(f"-{name.lower()}")][:3]
            close = close or difflib.get_close_matches(name, [*known, *groups], n=3, cutoff=0.5)
            hint = f"did you mean {' or '.join(close)}?" if close else "see sh evaluate.sh --list"
            raise InputError(f"benchmark: expected a known name, got {name!r}; {hint}")
        for benchmark in [known[name]] if name in known else groups[name]:
            chosen[benchmark.name] = benchmark
    if not chosen:
        raise InputError("benchmark: expected at least one name, got none; see sh evaluate.sh --list")
    return list(chosen.values())
