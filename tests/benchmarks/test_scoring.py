"""The comparison of scoring programs: sets of every layout can be read, and all programs give the same values."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import scoring
from benchmarks.scoring import compare, make, run_here, show
from benchmarks.set_maker import Maker, draw_picture


def test_every_program_gives_the_same_for_every_sample(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = {"docvqa": "vqa-docvqa-val", "pope": "pope"}
    for family, name in names.items():
        root = tmp_path / family
        make(family, root, 0.004)
        folder = root / "results" / f"made-{name}" / name
        figures = compare(folder, root, 0.5, 1, run_here)
        assert 0 < figures["score"] < 100
        assert figures["samples"] >= 20
        assert {"rule", "command", "plain"} < figures.keys()
        assert show(name, figures).startswith(name)
        assert (folder / "report.json").is_file()
        assert (folder.parent / "report.html").is_file()


def test_programs_that_differ_end_the_comparison(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make("docvqa", tmp_path, 0.004)
    folder = tmp_path / "results" / "made-vqa-docvqa-val" / "vqa-docvqa-val"
    monkeypatch.setattr(scoring, "PROGRAMS", ("rule", "plain"))
    monkeypatch.setattr("benchmarks.plain_scorers.measure_distance", lambda first, second: 0)
    with pytest.raises(SystemExit, match="vqa-docvqa-val: the plain version gives"):
        compare(folder, tmp_path, None, 1, run_here)


def test_every_family_is_written_in_its_layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for place in ("set_maker", "score_sets"):
        monkeypatch.setattr(f"benchmarks.{place}.draw_picture", lambda number, size=(): draw_picture(number, (16, 8)))
    for family in scoring.FAMILIES:
        make(family, tmp_path / family, 0.0)
    runs = {path.name for path in tmp_path.glob("*/results/*/*")}
    assert {name for family in scoring.FAMILIES.values() for name in family.limits} < runs
    assert len(runs) == 24


def test_words_and_answers_are_the_same_each_time(tmp_path: Path) -> None:
    first, second = (Maker(tmp_path / name).words.draw(50) for name in "ab")
    assert first == second
    assert len(set(first.split())) > 20
