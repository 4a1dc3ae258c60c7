"""Lightning's Trainer as a run sets it up: steps, passes, devices, and what runs beside the model in which order."""

from __future__ import annotations

import logging
import sys
import warnings
from pathlib import Path
from typing import Any

import lightning as L
import pytest
from lightning.fabric.plugins.environments import LightningEnvironment, SLURMEnvironment, TorchElasticEnvironment

from internvl.model.checkpoint import open_checkpoint
from internvl.processor import InternVLProcessor
from tests.tiny_run import build_here, without_gpu, write_arguments
from train.arguments import parse
from train.config import ModelConfig, OptimConfig
from train.engine import Crew, build_held_out
from train.module import SFTModule
from train.processes import Processes
from train.strategy import build_strategy
from train.trainer import build_trainer, quiet


def build(
    checkpoint: Path,
    meta: Path,
    folder: Path,
    *,
    world: int = 1,
    precision: str = "32-true",
    launcher: Any = "self",
    **options: Any,
) -> Any:
    words = write_arguments(checkpoint, meta, folder, **options)
    config = parse(words)
    data = build_here(words, world=world)
    data.trainer = None  # type: ignore[assignment]
    model_config, weights = open_checkpoint(checkpoint)
    module = SFTModule(model_config, weights, ModelConfig(str(checkpoint)), OptimConfig())
    strategy = build_strategy(config, world, on_gpu=False, precision=precision)
    held_out = None
    if config.eval.meta_path:
        held_out = build_held_out(config, InternVLProcessor.from_pretrained(checkpoint), Crew())
    processes = Processes(world, 1, 0, launcher)
    with without_gpu():
        return build_trainer(config, processes, strategy, precision, data, module, lambda state: state, held_out)


def names(trainer: L.Trainer) -> list[str]:
    callbacks: Any = trainer
    return [type(callback).__name__ for callback in callbacks.callbacks]


def test_steps_passes_and_clipping_are_those_of_the_run(checkpoint, meta, tmp_path):
    options = {"max_steps": 7, "batch_size": 8, "per_device_batch_size": 2, "data.packing": "false"}
    trainer = build(checkpoint, meta, tmp_path, log_steps=3, **{**options, "optim.max_grad_norm": 0.5})
    assert (trainer.max_steps, trainer.accumulate_grad_batches, trainer.gradient_clip_val) == (7, 4, 0.5)
    assert trainer.log_every_n_steps == 3
    assert (trainer.num_devices, trainer.num_nodes) == (1, 1)
    assert trainer.checkpoint_callback is None
    assert Path(trainer.logger.log_dir) == tmp_path / "tensorboard"


def test_two_devices_share_the_passes_of_a_step(checkpoint, meta, tmp_path):
    options = {"batch_size": 8, "per_device_batch_size": 2, "data.packing": "false", "devices": 2}
    trainer = build(checkpoint, meta, tmp_path, world=2, **options)
    assert (trainer.num_devices, trainer.accumulate_grad_batches) == (2, 2)


def test_what_runs_beside_the_model(checkpoint, meta, tmp_path, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: False)
    listed = names(build(checkpoint, meta, tmp_path))
    expected = ["ChartsCallback", "EpochCallback", "BadSamplesCallback", "ProgressCallback", "SaveCallback"]
    assert listed == [*expected, "SignalCallback", "ExportCallback"]
    listed = names(build(checkpoint, meta, tmp_path / "held", **{"eval.meta_path": meta}))
    assert listed == [*expected, "HeldOutCallback", "SignalCallback", "ExportCallback"]


def test_a_terminal_has_a_bar_in_the_place_of_lines(checkpoint, meta, tmp_path, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    trainer = build(checkpoint, meta, tmp_path)
    assert trainer.progress_bar_callback is not None
    assert "ProgressCallback" not in names(trainer)


@pytest.mark.parametrize(
    ("launcher", "kind"),
    [("self", LightningEnvironment), ("torchrun", TorchElasticEnvironment), ("slurm", SLURMEnvironment)],
)
def test_processes_are_those_of_the_one_who_started_them(launcher, kind, checkpoint, meta, tmp_path, monkeypatch):
    for name, value in {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "TORCHELASTIC_RUN_ID": "x"}.items():
        monkeypatch.setenv(name, value)
    for name, value in {"SLURM_NTASKS": "1", "SLURM_JOB_ID": "1", "SLURM_PROCID": "0", "SLURM_LOCALID": "0"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("SLURM_NODEID", "0")
    trainer = build(checkpoint, meta, tmp_path, launcher=launcher, strategy="ddp")
    environment = trainer.strategy.cluster_environment
    assert type(environment) is kind
    if launcher == "slurm":
        assert not environment.auto_requeue  # or Lightning would do it in the middle of a step


@pytest.mark.parametrize(("strategy", "seen"), [("fsdp2", "32-true"), ("ddp", "bf16-mixed")])
def test_a_strategy_that_casts_by_itself_is_left_to_it(strategy, seen, checkpoint, meta, tmp_path):
    options = {"strategy": strategy, "devices": 2, "per_device_batch_size": 2}
    trainer = build(checkpoint, meta, tmp_path, world=2, precision="bf16-mixed", **options)
    assert trainer.precision == seen


def test_a_run_is_quiet_about_what_it_does_on_purpose():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        quiet()
        warnings.warn("The 'train_dataloader' does not have many workers which may be a bottleneck", stacklevel=1)
        warnings.warn("something that nobody expects", stacklevel=1)
    assert [str(warning.message) for warning in caught] == ["something that nobody expects"]
    assert logging.getLogger("lightning.pytorch").level == logging.WARNING
