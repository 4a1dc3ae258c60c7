"""What MileBench says on the screen in the end: a line per dataset, the means, and the paths of the tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from evaluate.demo.marker import CAUTION, ENDING
from evaluate.jsonl import read_object
from evaluate.milebench.datasets import CODES, DATASETS
from evaluate.milebench.evaluation import PREFIX, Evaluation, find_runs, read_evaluations
from evaluate.milebench.files import EVALUATION
from evaluate.milebench.tables import PUBLISHED, summarize, write_tables
from evaluate.scorers.milebench_target import LEVELS
from internvl.errors import InputError

FOLDER = PREFIX.strip("-")
_NOTHING = "- (0/"
_NUM_NAMED = 10


def tabulate(folder: Path) -> list[str]:
    """Write the tables of one model, and give what is said about them.

    Args:
        folder: `results/<model>`; the tables go to `milebench` in it, and those of a variant, such as adversarial data
            or demonstration data, one folder deeper under its name.
    """
    lines = []
    for ending, runs in find_runs(folder).items():
        variant = ending.strip("-+._") or PUBLISHED
        model = folder.resolve().name
        evaluations = read_evaluations({model: {name: run / EVALUATION for name, run in runs.items()}})
        found = evaluations.found[model]
        place = folder / FOLDER if not ending else folder / FOLDER / variant
        place.mkdir(parents=True, exist_ok=True)
        paths = write_tables(evaluations, place, variant)
        lines += ["", f"MileBench, {model}" + (f", {variant}" if ending else "")]
        if ENDING in ending:
            lines.append(CAUTION)
        size_matters = not ending  # that of adversarial data is not known
        lines += [tell_dataset(name, found[name], _read_counts(runs[name]), tell_size=size_matters) for name in found]
        lines += [f"unreadable, and in no table: {problem}" for problem in evaluations.problems]
        missing = evaluations.list_missing(model)
        if missing and not ending:
            lines.append(f"no number for {list_gaps(missing)}")
        lines += [*tell_means(summarize(found)), *map(str, paths)]
    return lines


def tell_dataset(name: str, evaluation: Evaluation, report: Mapping[str, Any], *, tell_size: bool = True) -> str:
    """The line of a dataset.

    Args:
        name: as published.
        evaluation: of it.
        report: of the run, for how many samples have an answer, and were shown in part; empty where nobody knows.
        tell_size: say that another number of samples was published.
    """
    dataset, metric = DATASETS[name], evaluation.metric
    asked = report.get("num_samples", sum(count for _, count in evaluation.sums.values()))
    parts = [
        f"{name} ({dataset.code})",
        f"{asked - report.get('num_errors', 0)}/{asked}",
        f"{metric} {100 * evaluation.metrics[metric]:.2f}" if metric else "no number",
    ]
    for level in LEVELS:
        total, count = evaluation.sums.get(level, (0.0, 0))
        parts.append(f"{level} {100 * total / count:.2f}" if count else f"{level} -")
    parts.append(f"truncated {report.get('num_shortened', 0) if _knows_prompts(report) else '-'}")
    if tell_size and asked != dataset.size:
        parts.append(f"({dataset.size} are published)")
    return "  ".join(parts)


def tell_means(shown: Mapping[str, str]) -> list[str]:
    """The means of which anything is there, a line each, with what the tasks are called."""
    there = {name: value for name, value in shown.items() if not value.startswith(_NOTHING)}
    rows = [(f"{name}  {CODES[name]}" if name in CODES else name, value) for name, value in there.items()]
    width = max((len(title) for title, _ in rows), default=0)
    return [f"{title.ljust(width)}  {value}" for title, value in rows]


def _knows_prompts(report: Mapping[str, Any]) -> bool:
    """Whether the prompts were made here; another tool does not say which of its own it made shorter."""
    return not str(report.get("settings", {}).get("model", "file:")).startswith("file:")


def _read_counts(run: Path) -> Mapping[str, Any]:
    try:
        return read_object(run / "report.json", "score the run again")
    except (InputError, OSError):
        return {}


def list_gaps(missing: Sequence[str]) -> str:
    """How many datasets have no number, and which; whoever asked for a few does not want the names of all others."""
    named = f" ({', '.join(missing)})" if len(missing) <= _NUM_NAMED else ""
    return f"{len(missing)} of {len(DATASETS)} datasets{named}"
