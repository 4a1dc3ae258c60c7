"""The trainer of a run: its callbacks, its precision, and who starts its processes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from lightning.fabric.plugins.environments import LightningEnvironment, SLURMEnvironment, TorchElasticEnvironment

from internvl.model.checkpoint import open_checkpoint
from tests.tiny_run import build_here, without_gpu, write_arguments
from train.arguments import parse
from train.callbacks.benchmark import BenchmarkCallback
from train.callbacks.held_out import HeldOutCallback
from train.callbacks.progress import ProgressCallback
from train.callbacks.save import SaveCallback
from train.callbacks.signals import SignalCallback
from train.engine import Crew, build_held_out
from train.module import SFTModule
from train.processes import Processes
from train.strategy import build_strategy
from train.trainer import build_trainer


def build(checkpoint: Path, meta: Path, folder: Path, launcher: Any = "self", **options: Any) -> Any:
    arguments = write_arguments(checkpoint, meta, folder, **options)
    config, data = parse(arguments), build_here(arguments)
    model_config, weights = open_checkpoint(checkpoint)
    module = SFTModule(model_config, weights, config.model, config.optim)
    precision = "bf16-mixed" if config.precision == "auto" else config.precision
    held_out = build_held_out(config, data.processor, Crew()) if config.eval.meta_path else None
    with without_gpu():
        strategy = build_strategy(config, 1, on_gpu=False, precision=precision)
        processes = Processes(1, 1, 0, launcher)
        return build_trainer(
            config, processes, strategy, precision, data, module, lambda state, target: target, held_out
        )


def test_a_run_saves_before_it_may_stop(checkpoint, meta, tmp_path):
    kinds = [type(callback) for callback in build(checkpoint, meta, tmp_path).callbacks]
    assert kinds.index(SaveCallback) < kinds.index(SignalCallback)
    # Output of a test is no terminal.
    assert ProgressCallback in kinds
    assert not {HeldOutCallback, BenchmarkCallback} & set(kinds)


def test_evaluations_are_there_when_they_are_asked_for(checkpoint, meta, tmp_path):
    asked = {"eval.meta_path": meta, "eval.benchmarks": "quickstart", "eval.every_steps": 7}
    callbacks = build(checkpoint, meta, tmp_path, **asked).callbacks
    evaluations = [each for each in callbacks if isinstance(each, HeldOutCallback | BenchmarkCallback)]
    assert [type(each) for each in evaluations] == [HeldOutCallback, BenchmarkCallback]
    assert {each.every for each in evaluations} == {7}


@pytest.mark.parametrize(
    ("launcher", "kind"),
    [("self", LightningEnvironment), ("torchrun", TorchElasticEnvironment), ("slurm", SLURMEnvironment)],
)
def test_who_starts_the_processes_is_told_to_lightning(launcher, kind, checkpoint, meta, tmp_path, monkeypatch):
    for name, value in {"SLURM_NTASKS": "1", "SLURM_JOB_NAME": "run", "SLURM_NTASKS_PER_NODE": "1"}.items():
        monkeypatch.setenv(name, value)
    trainer = build(checkpoint, meta, tmp_path, launcher)
    environment = trainer._accelerator_connector.cluster_environment
    assert type(environment) is kind
    if kind is SLURMEnvironment:
        assert not environment.auto_requeue


def test_fsdp2_is_not_cast_twice(checkpoint, meta, tmp_path):
    assert build(checkpoint, meta, tmp_path / "one", precision="bf16-mixed").precision == "bf16-mixed"
    spread = build(checkpoint, meta, tmp_path / "two", precision="bf16-mixed", strategy="fsdp2")
    assert spread.precision == "32-true"
