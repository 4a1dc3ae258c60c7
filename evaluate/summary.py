"""All runs of one model: what lies in `results/<model>`, which of it is a number, and what does not fit together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from evaluate.benchmark import Benchmark, list_benchmarks
from evaluate.demo.marker import CAUTION, ENDING
from evaluate.jsonl import read_object
from evaluate.records import read_parts
from evaluate.report import read_report
from internvl.errors import InputError, MissingError

State = Literal["scored", "incomplete", "answered", "unreadable"]
BASELINES = ("-partial", "-blind", "-shuffled")
"""What the name of a run ends with whose number is not that of the benchmark."""
_KINDS: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("benchmark", "protocol", "model", "primary"), (str,)),
    **dict.fromkeys(("metrics", "settings"), (dict,)),
    **dict.fromkeys(("num_samples", "num_errors", "num_unparsed"), (int,)),
    "score": (int, float),
}
"""What a report must have to be shown."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One run folder.

    Attributes:
        folder: where it lies; its name is that of the run.
        benchmark: name of the benchmark; that of the run without the ending of a baseline.
        state: `answered` is complete and without a number, because it is not scored yet or only a test server can.
        report: the content of `report.json`, empty where there is none.
        start: the content of `run.json`, empty where there is none.
        title, split: above its column in a results table.
        answered: answers of an incomplete run.
        expected: samples of the whole benchmark, where the run says so.
        problem: why it is unreadable, or what is strange about it.
        higher_is_better: whether a high score of a sample is a good one.
    """

    folder: Path
    benchmark: str
    state: State
    report: Mapping[str, Any] = field(default_factory=dict)
    start: Mapping[str, Any] = field(default_factory=dict)
    title: str = ""
    split: str = ""
    answered: int | None = None
    expected: int | None = None
    problem: str = ""
    higher_is_better: bool = True

    @property
    def name(self) -> str:
        """The name of the run."""
        return self.folder.name

    @property
    def is_headline(self) -> bool:
        """Whether its number is the benchmark's, and belongs into a results table."""
        return self.state == "scored" and self.name == self.benchmark and not self.problem and not self.is_demo

    @property
    def is_demo(self) -> bool:
        """Whether it ran on data that was generated for demonstration."""
        asked = self.start.get("start")
        return bool(self.report.get("caution") or (isinstance(asked, Mapping) and asked.get("is_demo")))

    @property
    def judge(self) -> str:
        """Who scored its answers, where that was a model: numbers of different ones share no column."""
        return str(self.report.get("settings", {}).get("judge", ""))

    @property
    def settings(self) -> Mapping[str, Any]:
        """What could change the number, of a scored run or of one that has only begun."""
        return self.report.get("settings") or {
            key: self.start[key] for key in ("model", "prompts") if key in self.start
        }


@dataclass(frozen=True, slots=True)
class Summary:
    """All runs of one model.

    Attributes:
        folder: `results/<model>`.
        model: its name.
        entries: the runs, in the order of the list of benchmarks, baselines behind theirs.
        warnings: why the numbers may not belong together, each a sentence.
    """

    folder: Path
    model: str
    entries: tuple[Entry, ...]
    warnings: tuple[str, ...]


def read_summary(folder: Path) -> Summary:
    """Everything that lies in `results/<model>`.

    Raises:
        MissingError: no run lies there.
    """
    found = sorted(path for path in folder.glob("[!.]*") if _is_run(path)) if folder.is_dir() else []
    if not found:
        remedy = "that is one run, name the folder around it" if _is_run(folder) else "name results/<model>"
        raise MissingError(f"{folder}: expected run folders with report.json or run.json, got none; {remedy}")
    known: dict[tuple[str, ...], dict[str, Benchmark]] = {}
    entries = [_read_entry(path, known) for path in found]
    order = {name: position for position, name in enumerate(_list_known((), known))}
    entries.sort(key=lambda entry: (order.get(entry.benchmark, len(order)), entry.benchmark, entry.name))
    models = Counter(str(entry.report["model"]) for entry in entries if "model" in entry.report)
    model = models.most_common(1)[0][0] if models else folder.resolve().name
    strange = [entry.problem for entry in entries if entry.state == "scored" and entry.problem]
    return Summary(folder, model, tuple(entries), (*find_differences(entries), *strange))


def find_differences(entries: Sequence[Entry]) -> list[str]:
    """One sentence about demonstration data, and for each part that should be the same in all runs and is not."""
    demos = [entry.name for entry in entries if entry.is_demo]
    warnings = []
    if demos:
        names = "all runs" if len(demos) == len(entries) else ", ".join(demos)
        warnings.append(f"{CAUTION.capitalize()}: {names}.")
    models = _group((str(entry.settings["model"]), entry.name) for entry in entries if "model" in entry.settings)
    if len(models) > 1 and all(value.startswith("file:") for value in models):
        warnings.append("The answers come from several files; whether one model gave them all, nobody checked.")
    elif len(models) > 1:
        warnings.append(f"Not all runs are of the same model: {_name_groups(models)}.")
    packages: dict[str, list[tuple[str, str]]] = {}
    for entry in entries:
        versions = entry.settings.get("versions")
        for package, version in versions.items() if isinstance(versions, Mapping) else ():
            packages.setdefault(str(package), []).append((str(version), entry.name))
    for package, pairs in sorted(packages.items()):
        versions = _group(pairs)
        if len(versions) > 1:
            warnings.append(f"Not all runs were scored with the same version of {package}: {_name_groups(versions)}.")
    return warnings


def _is_run(folder: Path) -> bool:
    # The report over all runs is called report.json, too; report.md lies beside that one alone.
    has_report = (folder / "report.json").is_file() and not (folder / "report.md").is_file()
    return (folder / "run.json").is_file() or has_report


def _read_entry(folder: Path, known: dict[tuple[str, ...], dict[str, Benchmark]]) -> Entry:
    name = folder.name
    for ending in BASELINES:
        name = name.removesuffix(ending)
    name = name.removesuffix(ENDING)
    start: dict[str, Any] = {}
    try:
        beginning = folder.with_name(folder.name.removesuffix("-partial")) / "run.json"
        if beginning.is_file():
            start = read_object(beginning, "score the run again")
        asked = start.get("start") or {}
        name = str(asked.get("benchmark", name))
        files = tuple(str(path) for path in asked.get("files", ()))
        benchmark = _list_known(files, known).get(name)
        scorer = benchmark.scorer() if benchmark else None
        values: dict[str, Any] = {
            "start": start,
            "title": (benchmark.title if benchmark else "") or name,
            "split": benchmark.split if benchmark else "",
            "higher_is_better": scorer is None or scorer.higher_is_better,
        }
        if not (folder / "report.json").is_file():
            answered, expected = len(read_parts(folder)), _count(asked.get("num_samples"))
            state: State = "answered" if answered and answered == expected else "incomplete"
            return Entry(folder, name, state, answered=answered, expected=expected, **values)
        report = read_report(folder)
        check_report(report, folder / "report.json")
    except (InputError, OSError, AttributeError, TypeError) as error:
        return Entry(folder, name, "unreadable", title=name, problem=str(error))
    problem = ""
    if report["benchmark"] != folder.name:
        problem = f"{folder}: expected the report of this run, got that of {report['benchmark']}; was it copied?"
    judging = report.get("judging")
    if isinstance(judging, dict) and judging.get("incomplete"):
        problem = (
            f"{folder}: only {judging.get('coverage', 0):.1%} of the answers were judged: no number of the benchmark."
        )
    return Entry(folder, name, "scored", report, expected=_count(report.get("num_expected")), problem=problem, **values)


def check_report(report: Mapping[str, Any], path: Path) -> None:
    """Refuse what another tool wrote, or what was cut off.

    Raises:
        InputError: a key is missing or holds something else.
    """
    for key, kinds in _KINDS.items():
        if not isinstance(report.get(key), kinds):
            raise InputError(
                f"{path}: expected {key} of a report, got {str(report.get(key))[:80]}; score the run again"
            )
    bounds = report.get("interval")
    is_pair = isinstance(bounds, list) and len(bounds) == 2 and all(isinstance(value, int | float) for value in bounds)
    if bounds is not None and not is_pair:
        raise InputError(f"{path}: expected two bounds as interval, got {str(bounds)[:80]}; score the run again")


def _list_known(files: tuple[str, ...], known: dict[tuple[str, ...], dict[str, Benchmark]]) -> dict[str, Benchmark]:
    if files not in known:
        try:
            known[files] = list_benchmarks([Path(path) for path in files])
        except Exception:  # the user's own file, which may be gone or broken by now; the numbers are there
            known[files] = _list_known((), known)
    return known[files]


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) else None


def _group(pairs: Any) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for value, name in pairs:
        groups.setdefault(value, []).append(name)
    return groups


def _name_groups(groups: Mapping[str, Sequence[str]]) -> str:
    return "; ".join(f"{value} ({', '.join(names)})" for value, names in groups.items())
