"""The report as text: a row per run, numbers only where there are any, and the row of a results table."""

from __future__ import annotations

import json
import math
from pathlib import Path

from evaluate.markdown import describe, render_markdown, render_table
from evaluate.summary import read_summary
from tests.evaluate.results import SETTINGS, write_beginning, write_run


def write_all(folder: Path) -> Path:
    write_run(folder / "quickstart", num_samples=5000, num_errors=2, num_unparsed=1, score=61.994, interval=None)
    write_run(folder / "quickstart-blind")
    write_run(folder / "quickstart-partial", num_samples=9, num_expected=12)
    write_run(folder / "vqa-textvqa-val")
    write_beginning(folder / "zoo", 1500, 3000)
    return folder


def test_markdown_has_a_row_per_run_and_the_published_layout(tmp_path: Path) -> None:
    lines = render_markdown(read_summary(write_all(tmp_path))).splitlines()
    rest = "quickstart | 0123456789abcdef |"
    for row in (
        f"| quickstart | accuracy | 61.99 |  | 5,000 | 2 | 1 | {rest}",
        f"| quickstart-blind | accuracy | 50.00 | 40.00 to 60.00 | 1 | 0 | 0 | {rest}",
        f"| quickstart-partial | accuracy | 50.00 | 40.00 to 60.00 | 9 of 12 | 0 | 0 | {rest}",
        f"| zoo |  | incomplete: 1,500 of 3,000 answered |  |  |  |  | {rest}",
    ):
        assert row in lines
    start = lines.index("## For a results table")
    assert lines[start + 2 : start + 5] == [
        "| name | Quickstart<br>(held out) | TextVQA<br>(val) |",
        "| --- | --- | --- |",
        "| tiny | 62.0 | 50.0 |",
    ]
    assert "- model: tiny (fingerprint fingerprint)" in lines
    assert "- versions: torch 2.15.0, internvl-lightning 0.1.0" in lines
    assert lines[-1].endswith("vqa-textvqa-val, zoo: max_new_tokens 8, num_beams 1")


def test_report_without_any_number_has_no_table_of_results(tmp_path: Path) -> None:
    write_beginning(tmp_path / "zoo", 3, None)
    done = write_beginning(tmp_path / "quickstart", 3, 3)
    text = render_markdown(read_summary(tmp_path))
    assert "results table" not in text
    assert "| incomplete: 3 of an unknown number answered |" in text
    assert "| 3 of 3 answered, not scored |" in text
    (done / "submission.json").write_text("[]")
    assert "| 3 of 3 answered, for a test server |" in render_markdown(read_summary(tmp_path))


def test_text_of_others_stays_in_its_cell() -> None:
    assert render_table(["a"], [["x | y\n<b>"]])[-1] == "| x \\| y &lt;b> |"


def test_json_tells_the_same_and_is_json_without_numbers_too(tmp_path: Path) -> None:
    write_all(tmp_path)
    write_run(tmp_path / "void", score=math.nan, metrics={"accuracy": math.nan}, settings=SETTINGS | {"model": "other"})
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "report.json").write_text("{")
    content = json.loads(json.dumps(describe(read_summary(tmp_path)), allow_nan=False))
    assert content["table"] == {"Quickstart (held out)": 61.994, "TextVQA (val)": 50.0, "void": None}
    runs = {run["name"]: run for run in content["runs"]}
    assert (runs["zoo"]["score"], runs["zoo"]["num_answered"], runs["zoo"]["num_expected"]) == (None, 1500, 3000)
    assert (runs["quickstart"]["score"], runs["quickstart"]["settings"]["prompts"]) == (61.994, "0123456789abcdef")
    assert (runs["void"]["metrics"], runs["broken"]["state"]) == ({"accuracy": None}, "unreadable")
    assert "other (void)" in content["warnings"][0]
