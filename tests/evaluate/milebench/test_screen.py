"""What a model's runs say on the screen, and where their tables lie."""

from __future__ import annotations

import json
from pathlib import Path

from evaluate.demo.marker import CAUTION
from evaluate.milebench.screen import list_gaps, tabulate
from evaluate.summary import _is_run
from tests.evaluate.milebench.written import describe, write_evaluation


def write_run(folder: Path, content: object, **report: object) -> None:
    write_evaluation(folder, content)
    (folder / "report.json").write_text(json.dumps({"settings": {"model": "weights"}, **report}))


def test_lines_of_a_model_and_its_tables(tmp_path: Path) -> None:
    model = tmp_path / "m"
    content = describe(0.285, Medium=[36, 94], Many=[18, 106])
    write_run(model / "milebench-actionlocalization", content, num_samples=200, num_errors=3, num_shortened=7)
    write_run(model / "milebench-tqa", describe(0.5, Few=[1, 2]), num_samples=2, num_errors=0)
    (model / "milebench-tqa" / "report.json").unlink()
    write_run(model / "milebench-gpr1200", describe(0.2, Few=[120, 600]), num_samples=600, num_errors=0)
    broken = write_evaluation(model / "milebench-webqa", "{")
    table = model / "milebench"
    head, *lines = tabulate(model)
    assert [head, *lines[:4]] == [
        "",
        "MileBench, m",
        "ActionLocalization (T-1)  197/200  Accuracy 28.50  Few -  Medium 38.30  Many 16.98  truncated 7",
        "TQA (S-1)  2/2  Accuracy 50.00  Few 50.00  Medium -  Many -  truncated -  (200 are published)",
        "GPR1200 (I-1)  600/600  Accuracy 20.00  Few 20.00  Medium -  Many -  truncated 0",
    ]
    assert lines[4].startswith(f"unreadable, and in no table: {broken}: expected JSON")
    assert lines[5] == "no number for 26 of 29 datasets"
    means = dict(line.rsplit("  ", 1) for line in lines[6:-3])
    assert {name.split("  ")[0].strip(): value for name, value in means.items()} == {
        "T-1": "- (1/3)",
        "S-1": "- (1/4)",
        "I-1": "20.00",
        "Realistic (mean of datasets)": "- (2/26)",
        "Diagnostic (mean of codes)": "- (1/3)",
        "Diagnostic (mean of datasets)": "- (1/3)",
        **dict.fromkeys(("Few", "Medium", "Many"), "- (3/25)"),
    }
    assert lines[-3:] == [str(table / name) for name in ("result.csv", "result.json", "milebench_table.csv")]
    assert (table / "result.csv").read_text().endswith("\nm,28.5,50.0,20.0\n")
    assert not _is_run(table)  # the report over all runs looks for runs beside it


def test_variants_have_tables_of_their_own(tmp_path: Path) -> None:
    for place, ending in enumerate(("", "-adv", "+demo", "-combined-blind")):
        write_run(tmp_path / f"milebench-tqa{ending}", describe(place / 10), num_samples=6)
    lines = tabulate(tmp_path)
    assert lines.count(CAUTION) == 1
    assert sum("are published" in line for line in lines) == 1
    for folder, value in {"": "0.0", "adv": "10.0", "demo": "20.0", "combined-blind": "30.0"}.items():
        place = tmp_path / "milebench" / folder
        assert (place / "result.csv").read_text() == f"Model,TQA (Accuracy)\n{tmp_path.name},{value}\n"
        variant = folder or "published"
        assert (place / "milebench_table.csv").read_text().splitlines()[1].startswith(f"{tmp_path.name},{variant},")


def test_other_runs_make_no_table(tmp_path: Path) -> None:
    (tmp_path / "pope").mkdir()
    assert tabulate(tmp_path) == []
    assert not (tmp_path / "milebench").exists()


def test_gaps_are_counted() -> None:
    assert list_gaps(["TQA"]) == "1 of 29 datasets (TQA)"
