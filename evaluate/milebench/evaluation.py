"""`eval.json`, the score of a model on a dataset of MileBench, read back from the layout of either tool."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaluate.jsonl import read_object
from evaluate.milebench.datasets import DATASETS
from evaluate.milebench.files import EVALUATION, MEANS, METRICS, SUMS
from internvl.errors import InputError

PREFIX = "milebench-"
_BESIDE = frozenset({MEANS, SUMS, "Diff-Accuracy"})
"""What stands beside the number of a dataset, and in no column of the published table."""
_REMEDY = "score the answers again"


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One `eval.json`.

    Attributes:
        content: of the file, whole.
        metrics: the numbers of the published table by name, in 0..1.
        sums: by level the sum and number of scores; empty where a file does not tell them.
    """

    content: Mapping[str, Any]
    metrics: Mapping[str, int | float]
    sums: Mapping[str, tuple[float, int]]

    @property
    def metric(self) -> str:
        """The name of the number; empty where there is none of the published ones."""
        return next((name for name in METRICS.values() if name in self.metrics), "")


@dataclass(frozen=True, slots=True)
class Evaluations:
    """The datasets of several models.

    Attributes:
        found: what could be read, by model and dataset; every model that was asked for is there.
        problems: why files could not be read, each a sentence.
    """

    found: Mapping[str, Mapping[str, Evaluation]]
    problems: Sequence[str] = ()

    def list_missing(self, model: str) -> list[str]:
        """The datasets without a number."""
        return [name for name in DATASETS if name not in self.found[model]]


def read_evaluation(path: Path) -> Evaluation:
    """One file.

    Raises:
        InputError: it cannot be read, or holds something else.
    """
    try:
        content = read_object(path, _REMEDY)
    except OSError as error:
        raise InputError(f"{path}: expected a file that can be read, got {error.strerror}; {_REMEDY}") from None
    metrics = {name: value for name, value in content.items() if name not in _BESIDE}
    wrong = {name: value for name, value in metrics.items() if not _is_number(value)}
    if wrong or not metrics:
        got = next((f"{str(value)[:40]!r} as {name}" for name, value in wrong.items()), "none")
        raise InputError(f"{path}: expected numbers by name, got {got}; {_REMEDY}")
    return Evaluation(content, metrics, _read_sums(path, content.get(SUMS, {})))


def read_evaluations(places: Mapping[str, Mapping[str, Path]]) -> Evaluations:
    """All files that are there; one that cannot be read leaves its cell empty.

    Args:
        places: of the files, by model and dataset.
    """
    found: dict[str, dict[str, Evaluation]] = {}
    problems = []
    for model, paths in places.items():
        found[model] = {}
        for dataset in DATASETS:
            if dataset not in paths:
                continue
            try:
                found[model][dataset] = read_evaluation(paths[dataset])
            except InputError as error:
                problems.append(str(error))
    return Evaluations(found, problems)


def find_evaluations(folder: Path) -> dict[str, Path]:
    """The files of a model by dataset, in the layout of the published tool, or in that of our results."""
    found = {name: folder / name / EVALUATION for name in DATASETS if (folder / name / EVALUATION).exists()}
    ours = {name: run / EVALUATION for name, run in find_runs(folder).get("", {}).items()}
    return ours | found


def find_runs(folder: Path) -> dict[str, dict[str, Path]]:
    """Runs with an `eval.json`: by what their names end with, which tells variants of the benchmark, and by dataset."""
    found: dict[str, dict[str, Path]] = {}
    for run in sorted(folder.glob(f"{PREFIX}*")):
        dataset, ending = split_name(run.name)
        if dataset and (run / EVALUATION).exists():
            found.setdefault(ending, {})[dataset] = run
    return {ending: {name: runs[name] for name in DATASETS if name in runs} for ending, runs in sorted(found.items())}


def split_name(name: str) -> tuple[str, str]:
    """Dataset and ending of the name of a run; no dataset where it is another benchmark's.

    Example:
        >>> split_name("milebench-OCR-VQA-adv"), split_name("milebench-tqa+demo"), split_name("pope")
        (('OCR-VQA', '-adv'), ('TQA', '+demo'), ('', ''))
    """
    if not name.startswith(PREFIX):
        return "", ""
    rest = name.removeprefix(PREFIX)
    for dataset in sorted(DATASETS, key=len, reverse=True):
        ending = rest[len(dataset) :]
        if rest.casefold().startswith(dataset.casefold()) and (not ending or not ending[0].isalnum()):
            return dataset, ending
    return "", ""


def _read_sums(path: Path, content: Any) -> dict[str, tuple[float, int]]:
    if not isinstance(content, dict):
        content = {"levels": content}
    for level, pair in content.items():
        if not isinstance(pair, list) or len(pair) != 2 or not all(map(_is_number, pair)):
            raise InputError(f"{path}: expected sum and number of {level} in {SUMS}, got {str(pair)[:40]}; {_REMEDY}")
    return {level: (float(pair[0]), int(pair[1])) for level, pair in content.items()}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
