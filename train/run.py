"""One training run: from the merged options to an exported model."""

from __future__ import annotations

import logging
import os
import shutil
import sys
import warnings
import zipfile
from pathlib import Path

import lightning as L
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.strategies import DDPStrategy, Strategy

from internvl.errors import InputError
from train.callbacks.epoch import EpochCallback
from train.callbacks.export import ExportCallback
from train.callbacks.progress import ProgressCallback
from train.callbacks.throughput import ThroughputCallback
from train.config import FinetuneConfig, write_config
from train.data import SFTDataModule
from train.module import SFTModule

# What Lightning warns of: few workers, one loader for the whole run, going on inside of it in the same folder, parts
# that stay in evaluation mode because they are frozen, and a run shorter than the interval of its log.
_ON_PURPOSE = (
    "does not have many workers",
    "exists and is not empty",
    "before the epoch ended",
    "in eval mode at the start of training",
    "smaller than the logging interval",
)


def fit(config: FinetuneConfig) -> Path:
    """Train, export, and return the exported folder.

    Goes on from the run folder's last checkpoint unless `overwrite` is set.
    """
    folder = Path(config.output_dir)
    on_gpu = torch.cuda.is_available()
    devices = config.devices if config.devices != "auto" else (torch.cuda.device_count() if on_gpu else 1)
    if on_gpu and devices > torch.cuda.device_count():
        raise InputError(f"devices: expected at most {torch.cuda.device_count()}, got {devices}; lower --devices")
    accumulation = config.accumulation(devices)
    _quiet()
    L.seed_everything(config.seed, workers=True, verbose=False)
    data = SFTDataModule(
        config.data,
        config.batch_size,
        config.per_device_batch_size,
        config.num_train_epochs,
        config.max_steps,
        config.seed,
    )
    data.mixture.check()
    module = SFTModule(config.model, config.optim)
    checkpoint = _prepare_folder(folder, config)
    shows_bar = sys.stderr.isatty()
    trainer = L.Trainer(
        accelerator="gpu" if on_gpu else "cpu",
        devices=devices,
        strategy=_strategy(devices, on_gpu),
        precision=_precision(config.precision, on_gpu),  # type: ignore[arg-type]
        max_steps=data.num_steps,
        max_epochs=-1,
        accumulate_grad_batches=accumulation,
        gradient_clip_val=config.optim.max_grad_norm,
        log_every_n_steps=config.log_steps,
        use_distributed_sampler=False,
        enable_model_summary=False,
        enable_progress_bar=shows_bar,
        default_root_dir=folder,
        logger=TensorBoardLogger(save_dir=folder, name="tensorboard", version=""),
        callbacks=_callbacks(config, folder, len(data.mixture), shows_bar),
    )
    if trainer.is_global_zero:
        _explain(config, data, devices, accumulation, checkpoint)
    with warnings.catch_warnings():
        for about in _ON_PURPOSE:
            warnings.filterwarnings("ignore", f".*{about}")
        trainer.fit(module, datamodule=data, ckpt_path=checkpoint)
    if trainer.is_global_zero:
        print(f"exported: {folder / 'export'}", flush=True)
    return folder / "export"


def _callbacks(config: FinetuneConfig, folder: Path, num_rows: int, shows_bar: bool) -> list[L.Callback]:
    """What runs beside the model; lines of progress where no bar shows it."""
    throughput = ThroughputCallback(config.log_steps)
    return [
        throughput,
        EpochCallback(config.batch_size / num_rows),
        *([] if shows_bar else [ProgressCallback(throughput, config.log_steps)]),
        ModelCheckpoint(
            dirpath=folder / "checkpoints",
            filename="step-{step}",
            auto_insert_metric_name=False,
            every_n_train_steps=config.save_steps,
            monitor="step",
            mode="max",
            save_top_k=config.save_total_limit,
            save_last="link",
        ),
        ExportCallback(folder / "export"),
    ]


def _prepare_folder(folder: Path, config: FinetuneConfig) -> Path | None:
    """Make the run folder, and return the checkpoint to go on from."""
    is_launcher = torch.distributed.is_torchelastic_launched() or "LOCAL_RANK" not in os.environ
    if is_launcher and config.overwrite:
        for name in ("checkpoints", "tensorboard", "export"):
            shutil.rmtree(folder / name, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    if is_launcher:
        write_config(config, folder / "config.yaml")
    return None if config.overwrite else _find_checkpoint(folder / "checkpoints")


def _find_checkpoint(folder: Path) -> Path | None:
    """The newest whole checkpoint: a kill may leave half of one, or `last.ckpt` without the file it points to."""
    whole = [path for path in folder.glob("step-*.ckpt") if zipfile.is_zipfile(path)]
    return max(whole, key=lambda path: int(path.stem.split("-")[1]), default=None)


def _quiet() -> None:
    """Keep what a run says to what its user can use."""
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()
    # Its reports on checkpoints fill a screen; `load_model` says in one line what of them is an error.
    transformers_logging.set_verbosity_error()
    for name in ("lightning.pytorch.utilities.rank_zero", "lightning.fabric.utilities.rank_zero"):
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("lightning.fabric.utilities.distributed").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", ".*LeafSpec.*is deprecated.*")


def _strategy(devices: int, on_gpu: bool) -> str | Strategy:
    if devices == 1:
        return "auto"
    return DDPStrategy(process_group_backend="nccl" if on_gpu else "gloo", gradient_as_bucket_view=True)


def _precision(choice: str, on_gpu: bool) -> str:
    if choice != "auto":
        return choice
    return "bf16-mixed" if on_gpu and torch.cuda.is_bf16_supported() else "32-true"


def _explain(config: FinetuneConfig, data: SFTDataModule, devices: int, accumulation: int, start: Path | None) -> None:
    names = ", ".join(
        f"{source.name} ({len(file)})" for source, file in zip(data.mixture.sources, data.mixture.files, strict=True)
    )
    print(f"data: {len(data.mixture)} rows: {names}")
    print(
        f"batch: {config.batch_size} = {config.per_device_batch_size} per device x {devices} devices x "
        f"{accumulation} forward passes; {data.num_steps} steps"
    )
    print(f"run folder: {config.output_dir}" + (f", going on from {start}" if start else ""), flush=True)
