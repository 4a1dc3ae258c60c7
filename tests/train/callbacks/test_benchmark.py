"""Benchmarks while training: what is started, what becomes of its numbers, and what a failure does."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from internvl.errors import InputError
from tests.tiny_run import read_scalars, run_here, write_arguments
from train.callbacks import benchmark
from train.callbacks.benchmark import check_names, read_scores


def write_report(folder: Path, name: str, score: float | None) -> None:
    (folder / name).mkdir(parents=True)
    metrics = {"exact_match": score, "other": 1.0}
    report = {"benchmark": name, "primary": "exact_match", "metrics": metrics}
    (folder / name / "report.json").write_text(json.dumps(report))


class Evaluation:
    """Stands in for the evaluation process: notes how it was started, and writes a report."""

    def __init__(self, code: int = 0) -> None:
        self.code = code
        self.commands: list[list[str]] = []
        self.environments: list[dict[str, str]] = []

    def __call__(self, command: list[str], **keys: Any) -> Any:
        if "--list" in command:
            return subprocess.CompletedProcess(command, 0, "benchmark metric\nquickstart exact groups\n", "")
        assert (Path(command[3]) / "model.safetensors").is_file()
        self.commands.append(command)
        self.environments.append(keys["env"])
        if not self.code:
            write_report(Path(command[command.index("--output") + 1]), "quickstart", 12.5 * len(self.commands))
        return SimpleNamespace(returncode=self.code)


@pytest.fixture
def evaluation(monkeypatch: pytest.MonkeyPatch) -> Evaluation:
    stand_in = Evaluation()
    monkeypatch.setattr(benchmark, "subprocess", SimpleNamespace(run=stand_in))
    return stand_in


OPTIONS = {"max_steps": 5, "eval.benchmarks": "quickstart", "eval.every_steps": 2}


def test_scores_become_a_curve(evaluation, checkpoint, meta, tmp_path, monkeypatch):
    monkeypatch.setenv("SLURM_PROCID_OF_A_TEST", "3")
    done = run_here(write_arguments(checkpoint, meta, tmp_path / "run", **OPTIONS))
    assert done.code == 0, done.errors
    # After every second step, and at the end.
    assert read_scalars(tmp_path / "run")["benchmark/quickstart"] == {1: 12.5, 3: 25.0, 4: 37.5}
    assert done.output.count("benchmark/quickstart: 12.5000 after step 2\n") == 1
    for command, environment in zip(evaluation.commands, evaluation.environments, strict=True):
        assert command[1:3] == ["-m", "evaluate"]
        assert command[4] == "quickstart"
        # It is a run of its own, whoever started this one.
        assert not [name for name in environment if name.startswith("SLURM_")]
        assert "PATH" in environment or "PATH" not in os.environ
        assert not Path(command[3]).exists()


def test_a_benchmark_that_fails_is_named_and_the_run_goes_on(evaluation, checkpoint, meta, tmp_path):
    evaluation.code = 2
    done = run_here(write_arguments(checkpoint, meta, tmp_path / "run", **OPTIONS))
    assert done.code == 0, done.errors
    assert done.output.count("benchmark: no score after step ") == 3
    assert f"exit code 2; see {tmp_path / 'run' / 'benchmarks' / 'step-2' / 'log.txt'}" in done.output
    assert "benchmark/quickstart" not in read_scalars(tmp_path / "run")


def test_a_report_without_a_headline_number_is_no_point(tmp_path):
    write_report(tmp_path / "model", "whole", 3.0)
    write_report(tmp_path / "model", "unfinished", None)
    assert read_scores(tmp_path) == {"benchmark/whole": 3.0}
    assert read_scores(tmp_path / "lost") == {}


def test_names_are_checked_before_the_run():
    check_names("quickstart")
    check_names("quickstart,vqa-textvqa-val,all")
    with pytest.raises(InputError, match=r"^eval\.benchmarks: expected names of evaluate\.sh --list, got quickstrat; "):
        check_names("quickstart,quickstrat")


def test_a_mistyped_name_ends_the_command(checkpoint, meta, tmp_path):
    done = run_here(write_arguments(checkpoint, meta, tmp_path / "run", **{**OPTIONS, "eval.benchmarks": "nosuch"}))
    assert done.code == 2
    assert done.errors.startswith("error: eval.benchmarks: expected names of evaluate.sh --list, got nosuch")
