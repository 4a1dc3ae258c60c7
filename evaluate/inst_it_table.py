"""The table of Inst-It Bench: the four columns of its leaderboard, how much of each was scored, and by which judge."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from evaluate.baselines import Baseline, name_baseline
from evaluate.demo.marker import ENDING
from evaluate.report import read_report
from evaluate.submission import write_text
from internvl.errors import InputError

NAME = "inst_it"
COLUMNS = {
    "Image OE": "inst-it-image-oe",
    "Image MC": "inst-it-image-mc",
    "Video OE": "inst-it-video-oe",
    "Video MC": "inst-it-video-mc",
}
"""As the leaderboard has them, with the benchmark of each; it has no average."""
_ROWS = ("accuracy", "accuracy_all", "scored", "judge")
_NOTHING = dict.fromkeys(_ROWS, "")


def write_table(folder: Path) -> list[str]:
    """Write the table over the runs of a model, and one over those of each baseline, and give their lines.

    Args:
        folder: `results/<model>`.
    """
    tables = [_write_one(folder, baseline) for baseline in get_args(Baseline)]
    return "\n\n".join("\n".join(lines) for lines in tables if lines).splitlines()


def _write_one(folder: Path, baseline: Baseline) -> list[str]:
    """Nothing where no task was scored."""
    is_demo = folder.name.endswith(ENDING)
    cells: dict[str, dict[str, str]] = {}
    cautions: dict[str, None] = {}
    for title, name in COLUMNS.items():
        run = folder / name_baseline(name, baseline, is_demo)
        if not (run / "report.json").is_file():
            continue
        try:
            report = read_report(run)
            cells[title] = describe_column(report)
            cautions |= dict.fromkeys(filter(None, [report.get("caution")]))
        except (InputError, KeyError, TypeError, ValueError):
            cells[title] = {**_NOTHING, "accuracy": "unreadable"}
    if not cells:
        return []
    heading = f"Inst-It Bench, {baseline}" if baseline else "Inst-It Bench"
    lines = [f"| {heading} | {' | '.join(COLUMNS)} |", "|---|" + "---|" * len(COLUMNS)]
    lines += [
        f"| {row} | " + " | ".join(cells.get(title, _NOTHING)[row] or "-" for title in COLUMNS) + " |" for row in _ROWS
    ]
    lines += [f"\n{caution.capitalize()}." for caution in cautions]
    write_text(
        folder / f"{name_baseline(NAME, baseline)}.md",
        f"# {heading}: {folder.resolve().name}\n\n" + "\n".join(lines) + "\n",
    )
    return lines


def describe_column(report: Mapping[str, Any]) -> dict[str, str]:
    """What a report says about one task."""
    metrics, judging = report["metrics"], report.get("judging")
    ending = f" by {judging['judge']}" if judging else ""
    total, failed = int(report["num_samples"]), int(report["num_errors"])
    valid = int(judging["statuses"]["ok"] if judging else metrics["num_valid"])
    numbers = {name: float(metrics[name + ending]) for name in ("accuracy", "accuracy_all")}
    shown = {name: f"{number:.2f}" if number == number else "none valid" for name, number in numbers.items()}
    if judging and judging["incomplete"]:
        shown["accuracy"] += " (INCOMPLETE)"
    scored = f"{valid:,} of {total:,}" + (f" ({failed:,} failed)" if failed else "")
    return {**shown, "scored": scored, "judge": judging["judge"] if judging else ""}
