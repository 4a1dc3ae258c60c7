"""One training run: from the merged options to an exported model."""

from __future__ import annotations

import logging
import shutil
import sys
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from lightning.fabric.plugins.environments import LightningEnvironment, SLURMEnvironment, TorchElasticEnvironment
from lightning.pytorch.loggers import TensorBoardLogger

from internvl.folder import check_folder
from internvl.model.checkpoint import open_checkpoint
from internvl.model.tensors import Overlay, TensorSource
from internvl.processor import InternVLProcessor
from train.arguments import write_config
from train.bad_samples import FILE_NAME
from train.callbacks.bad_samples import BadSamplesCallback
from train.callbacks.epoch import EpochCallback
from train.callbacks.export import ExportCallback
from train.callbacks.progress import ProgressCallback
from train.callbacks.save import SaveCallback
from train.callbacks.signals import STOPPED, SignalCallback
from train.callbacks.throughput import ThroughputCallback
from train.config import FinetuneConfig
from train.data import SFTDataModule
from train.engine import Crew, build_data
from train.export import export_model
from train.module import SFTModule
from train.processes import Processes, find_processes
from train.resume import check_same, describe_run, find_start, name_weights
from train.state import SavedState, load_loops
from train.strategy import build_strategy

# What Lightning and others warn of: few workers, one loader for the whole run, going on inside of it in the same
# folder, parts that stay in evaluation mode because they are frozen, a run shorter than the interval of its log, slurm
# that is there and not used, and a hook that is for the strategies that do not clip gradients by themselves.
_ON_PURPOSE = (
    "does not have many workers",
    "exists and is not empty",
    "before the epoch ended",
    "in eval mode at the start of training",
    "smaller than the logging interval",
    "`srun` command is available on your system",
    "Since DeepSpeed handles gradient clipping internally",
    "LeafSpec.*is deprecated",
    # The gradient of the patch convolution is laid out in another way where a pass has a single tile.
    "Grad strides do not match bucket view strides",
)


def fit(config: FinetuneConfig) -> int:
    """Train and export; the exit code says whether the run is finished, or was stopped and goes on.

    Goes on from the run folder's last checkpoint unless `overwrite` is set.
    """
    folder = Path(config.output_dir)
    on_gpu = torch.cuda.is_available()
    processes = find_processes(config, torch.cuda.device_count() if on_gpu else 0)
    precision = _choose_precision(config.precision, on_gpu)
    strategy = build_strategy(config, processes.world, on_gpu=on_gpu, precision=precision)
    _quiet()
    L.seed_everything(config.seed, workers=True, verbose=False)
    crew = Crew(processes.world, is_first=processes.rank == 0)
    start = find_start(config)
    _prepare_folder(folder, config, crew)
    pretrained = check_folder(config.model.pretrained)
    processor = InternVLProcessor.from_pretrained(
        pretrained,
        template=config.model.conv_style,
        max_length=config.data.max_seq_length,
        **config.data.tiling,
    )
    data = build_data(config, processor, crew)
    module, base, changes = _build_module(config, pretrained, start, len(data.plan), precision)
    trainer = _build_trainer(config, processes, strategy, precision, data, base, module)
    if processes.rank == 0:
        _explain(config, data, processes.world, trainer.accumulate_grad_batches, start)
        for change in changes:
            print(f"changed: {change}", flush=True)
    with warnings.catch_warnings():
        for about in _ON_PURPOSE:
            warnings.filterwarnings("ignore", f".*{about}")
        trainer.fit(module, datamodule=data, ckpt_path=start)
    return 0 if trainer.global_step >= len(data.plan) else STOPPED


def _build_module(
    config: FinetuneConfig, pretrained: Path, start: Path | None, num_steps: int, precision: str
) -> tuple[SFTModule, TensorSource, list[str]]:
    """The module, what its weights were before training, and which options are others than at the checkpoint."""
    model_config, base = open_checkpoint(pretrained)
    if config.model.vision_select_layer is not None:
        model_config.select_layer = config.model.vision_select_layer
    recipe = describe_run(config, weights=name_weights(pretrained), precision=precision, num_steps=num_steps)
    weights, changes = base, []
    if start is not None:
        changes = check_same(load_loops(start)["recipe"], recipe, accept=config.accept_changes)
        weights = Overlay(SavedState(start), base)
    module = SFTModule(model_config, weights, config.model, config.optim, config.seed)
    module.recipe = recipe
    return module, base, changes


def _build_trainer(
    config: FinetuneConfig,
    processes: Processes,
    strategy: Any,
    precision: str,
    data: SFTDataModule,
    base: TensorSource,
    module: SFTModule,
) -> L.Trainer:
    folder = Path(config.output_dir)
    environments: dict[str, Callable[[], Any]] = {
        "slurm": partial(SLURMEnvironment, auto_requeue=False),  # SignalCallback does it, between two steps
        "torchrun": TorchElasticEnvironment,
        "self": LightningEnvironment,
    }
    saver = SaveCallback(folder / "checkpoints", config.save_steps, config.save_total_limit)
    dtype = config.export_dtype
    if dtype == "auto":
        dtype = "bfloat16" if precision.startswith("bf16") else "float32"

    def export(state: Path) -> Path:
        return export_model(
            folder / "export",
            SavedState(state),
            base,
            module.config,
            data.processor,
            config.model,
            getattr(torch, dtype),
        )

    shows_bar = sys.stderr.isatty()
    throughput = ThroughputCallback(config.log_steps)
    num_rows = len(data.dataset)
    callbacks = [
        throughput,
        EpochCallback(config.batch_size / num_rows),
        BadSamplesCallback(folder, num_rows, config.data.max_bad_share),
        *([] if shows_bar else [ProgressCallback(throughput, config.log_steps)]),
        saver,
        SignalCallback(saver),
        ExportCallback(saver.folder, export),
    ]
    # FSDP2 casts by itself.
    own_precision = "32-true" if getattr(strategy, "bfloat16", False) else precision
    return L.Trainer(
        accelerator="gpu" if torch.cuda.is_available() else "cpu",
        devices=processes.devices,
        num_nodes=processes.nodes,
        strategy=strategy,
        plugins=[environments[processes.launcher]()],
        precision=own_precision,  # type: ignore[arg-type]
        max_steps=len(data.plan),
        max_epochs=-1,
        accumulate_grad_batches=data.plan.num_batches // processes.world,
        gradient_clip_val=config.optim.max_grad_norm,
        log_every_n_steps=config.log_steps,
        use_distributed_sampler=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        enable_progress_bar=shows_bar,
        default_root_dir=folder,
        logger=TensorBoardLogger(save_dir=folder, name="tensorboard", version=""),
        callbacks=callbacks,
    )


def _prepare_folder(folder: Path, config: FinetuneConfig, crew: Crew) -> None:
    """Make the run folder, empty of a former run where that is to be overwritten."""
    if not crew.is_first:
        return
    if config.overwrite:
        for name in ("checkpoints", "tensorboard", "export", "plan"):
            shutil.rmtree(folder / name, ignore_errors=True)
        for name in (FILE_NAME, "manifest.json"):
            (folder / name).unlink(missing_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    write_config(config, folder / "config.yaml")


def _quiet() -> None:
    """Keep what a run says to what its user can use."""
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()
    # Its reports on checkpoints fill a screen; `load_model` says in one line what of them is an error.
    transformers_logging.set_verbosity_error()
    for name in ("lightning.pytorch.utilities.rank_zero", "lightning.fabric.utilities.rank_zero"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in ("lightning.fabric.utilities.distributed", "lightning.pytorch", "DeepSpeed"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for about in _ON_PURPOSE:
        warnings.filterwarnings("ignore", f".*{about}")


def _choose_precision(choice: str, on_gpu: bool) -> str:
    if choice != "auto":
        return choice
    return "bf16-mixed" if on_gpu and torch.cuda.is_bf16_supported() else "32-true"


def _explain(config: FinetuneConfig, data: SFTDataModule, devices: int, accumulation: int, start: Path | None) -> None:
    mixture = data.dataset.mixture
    rows = zip(mixture.sources, mixture.files, mixture.draws, mixture.refused, strict=True)
    for source, file, draws, refused in rows:
        bad = f", {len(refused):,} bad" if len(refused) else ""
        print(f"data: {source.name}: {draws:,} samples per epoch of {len(file):,} rows{bad}")
    print(f"batch: {_describe_batches(config, data, devices, accumulation)}")
    print(f"steps: {len(data.plan):,}, {len(data.plan) * config.batch_size / len(mixture):.2f} epochs")
    print(f"run folder: {config.output_dir}" + (f", going on from {start}" if start else ""), flush=True)


def _describe_batches(config: FinetuneConfig, data: SFTDataModule, devices: int, accumulation: int) -> str:
    shared = f"{devices} devices x {accumulation} forward passes"
    if not config.data.packing:
        return f"{config.batch_size} samples = {config.per_device_batch_size} per device x {shared}"
    # A part of the steps says enough, and takes no time.
    steps = range(0, len(data.plan), max(1, len(data.plan) // 32))
    packs = [pack for step in steps for pack in data.plan.step(step)]
    tokens = [int(data.dataset.measure(np.array(pack))[0].sum()) for pack in packs]
    return (
        f"{config.batch_size} samples in {data.plan.num_batches} packs = {shared}; packs of {np.mean(tokens):,.0f} "
        f"tokens on average, at most {config.data.max_packed_tokens:,} tokens and {config.data.max_packed_tiles} tiles"
    )
