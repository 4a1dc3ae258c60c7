"""The harness that kills evaluations: two points are enough to see that it works, and that nothing is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.kill_points import run_points


@pytest.mark.dist
@pytest.mark.slow
def test_killed_runs_are_equal_to_an_undisturbed_one(tmp_path: Path) -> None:
    figures = run_points(tmp_path, points=2, seed=3, count=16)
    assert figures["points"] == 2
    assert figures["runs"] >= 1
    assert figures["attempts"] >= figures["points"] + figures["runs"]
    assert figures["generated again"] <= figures["in flight at kills"]
