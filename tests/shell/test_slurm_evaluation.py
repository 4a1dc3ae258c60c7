"""An evaluation whose processes a real slurm has started: they share the samples, and only the first one deletes."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.evaluate.questions import count_lines, read_texts, write_questions
from tests.evaluate.test_stop import CODE
from tests.shell.checkout import ROOT
from tests.tiny_slurm import Slurm

pytestmark = pytest.mark.slow


def test_tasks_on_two_nodes_start_anew_where_another_run_lies(slurm: Slurm, tmp_path: Path) -> None:
    root = write_questions(tmp_path)
    words = ["fake:x", "quickstart", "--allow-size", "--root", root, "--output", root / "out", "--num-workers", 0]
    folder = root / "out" / "fake_x" / "quickstart"

    def evaluate(*more: object, nodes: int) -> str:
        command = [sys.executable, "-c", CODE, *words, *more]
        done = slurm.run(
            *("srun", "--quiet", "--time=1", "--chdir", ROOT, f"--nodes={nodes}", "--ntasks=3", "--kill-on-bad-exit=1"),
            *map(str, command),
        )
        assert (done.returncode, done.stderr) == (0, f"report: {folder.parent / 'report.html'}\n")
        return done.stdout

    assert evaluate("--num-beams", 2, nodes=1).count("quickstart: accuracy") == 1
    assert count_lines(folder) == 12
    # Finished, and of other settings: a task that looks before the first one has deleted it would refuse.
    assert evaluate("--num-beams", 3, "--fresh", nodes=2).count("quickstart: accuracy") == 1
    assert [part.read_bytes().count(b"\n") for part in sorted(folder.glob("part-*"))] == [4, 4, 4]
    assert len(read_texts(folder)) == 12
    assert "all 12 samples are done" in evaluate("--num-beams", 3, nodes=1)
