"""The tables of MileBench: `result.csv` and `result.json` as published, and `milebench_table.csv` with the means.

`result.csv` of MileBench at 9583e1f, `score.py`, has no means, and the paper does not say which it prints: the table
beside it has those of the twelve tasks, and the two overall ones by their names. A mean is there when all that it is of
is there; a dataset without a number is an empty cell and never that of its neighbour.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from evaluate.milebench.datasets import CODES, DATASETS
from evaluate.milebench.evaluation import Evaluation, Evaluations
from evaluate.scorers.milebench import choose_rule
from evaluate.scorers.milebench_target import LEVELS
from evaluate.submission import write_text

RESULT, RESULT_VALUES, TABLE = "result.csv", "result.json", "milebench_table.csv"
PUBLISHED = "published"
"""What the table calls the benchmark itself, beside its variants."""


def write_tables(evaluations: Evaluations, folder: Path, variant: str = PUBLISHED) -> list[Path]:
    """Write the three files, and give their paths."""
    texts = {
        RESULT: render_result(evaluations),
        RESULT_VALUES: json.dumps(list_values(evaluations), ensure_ascii=False, indent=4),
        TABLE: render_table(evaluations, variant),
    }
    for name, text in texts.items():
        write_text(folder / name, text)
    return [folder / name for name in texts]


def list_values(evaluations: Evaluations) -> dict[str, dict[str, dict[str, Mapping[str, object]]]]:
    """The content of `result.json`: by model, group and dataset what stands in `eval.json`."""
    return {
        model: {
            group: {
                name: found[name].content if name in found else {}
                for name, dataset in DATASETS.items()
                if dataset.group == group
            }
            for group in dict.fromkeys(dataset.group for dataset in DATASETS.values())
        }
        for model, found in evaluations.found.items()
    }


def render_result(evaluations: Evaluations) -> str:
    """The text of `result.csv`: a row per model, columns in the order in which they first come up."""
    rows = {
        model: {
            f"{name} ({metric})": round(value * 100, 2)
            for name in DATASETS
            if name in found
            for metric, value in found[name].metrics.items()
        }
        for model, found in evaluations.found.items()
    }
    columns = list(dict.fromkeys(column for row in rows.values() for column in row))
    # A column of whole numbers alone has no decimals in the published table, and one with a gap has them.
    whole = {name for name in columns if all(isinstance(row.get(name), int) for row in rows.values())}
    lines = [["Model", *columns]]
    for model, row in rows.items():
        cells = (row.get(column) for column in columns)
        shown = zip(columns, cells, strict=True)
        lines.append([model, *("" if v is None else str(v if name in whole else float(v)) for name, v in shown)])
    return _write_csv(lines)


def render_table(evaluations: Evaluations, variant: str = PUBLISHED) -> str:
    """The text of `milebench_table.csv`: a row per model with the means in percent."""
    rows = [["Model", "Variant", *summarize({})]]
    rows += [[model, variant, *summarize(found).values()] for model, found in evaluations.found.items()]
    return _write_csv(rows)


def summarize(found: Mapping[str, Evaluation]) -> dict[str, str]:
    """All means of one model by name, as they are shown: percent, or how much of what a mean is of is there."""
    values = {name: 100 * one.metrics[one.metric] for name, one in found.items() if one.metric}
    by_code = {code: [name for name, dataset in DATASETS.items() if dataset.code == code] for code in CODES}
    codes = {code: _average([values.get(name) for name in names]) for code, names in by_code.items()}
    shown = {code: _show(codes[code], [name in values for name in names]) for code, names in by_code.items()}
    for part, is_realistic in (("Realistic", True), ("Diagnostic", False)):
        names = [name for name, dataset in DATASETS.items() if dataset.is_realistic == is_realistic]
        own = list(dict.fromkeys(DATASETS[name].code for name in names))
        means = [codes[code] for code in own]
        shown[f"{part} (mean of codes)"] = _show(_average(means), [mean is not None for mean in means])
        numbers = [values.get(name) for name in names]
        shown[f"{part} (mean of datasets)"] = _show(_average(numbers), [number is not None for number in numbers])
    return shown | _pool(found)


def _pool(found: Mapping[str, Evaluation]) -> dict[str, str]:
    """Accuracy over all samples of a level, whichever dataset they are of."""
    accuracies = [name for name, one in DATASETS.items() if choose_rule(name, one.kind) != "rouge"]
    told = [name in found and bool(found[name].sums) for name in accuracies]
    shown = {}
    for level in LEVELS:
        pairs = [
            found[name].sums.get(level, (0.0, 0)) for name, is_told in zip(accuracies, told, strict=True) if is_told
        ]
        count = sum(number for _, number in pairs)
        mean = 100 * math.fsum(total for total, _ in pairs) / count if count else None
        shown[level] = _show(mean, told)
    return shown


def _average(numbers: Sequence[float | None]) -> float | None:
    known = [number for number in numbers if number is not None]
    return math.fsum(known) / len(known) if known and len(known) == len(numbers) else None


def _show(mean: float | None, there: Sequence[bool]) -> str:
    if mean is not None and all(there):
        return f"{mean:.2f}"
    return f"- ({sum(there)}/{len(there)})"


def _write_csv(rows: Sequence[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
