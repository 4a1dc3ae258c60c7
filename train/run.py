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
from internvl.processor import InternVLProcessor
from train.arguments import write_config
from train.bad_samples import FILE_NAME
from train.callbacks.bad_samples import BadSamplesCallback
from train.callbacks.charts import ChartsCallback
from train.callbacks.epoch import EpochCallback
from train.callbacks.export import ExportCallback
from train.callbacks.progress import ProgressCallback
from train.config import FinetuneConfig
from train.cost import measure_training
from train.data import SFTDataModule
from train.engine import Crew, build_data, read_model_config
from train.explain import explain
from train.module import SFTModule
from train.record import add_start, describe_start, name_devices

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
    _quiet()
    L.seed_everything(config.seed, workers=True, verbose=False)
    crew = Crew(devices, is_first=_rank() == 0)
    checkpoint = _prepare_folder(folder, config, crew)
    processor = InternVLProcessor.from_pretrained(
        config.model.pretrained,
        template=config.model.conv_style,
        max_length=config.data.max_seq_length,
        **config.data.tiling,
    )
    data = build_data(config, processor, crew)
    accumulation = data.plan.num_batches // devices
    module = SFTModule(config.model, config.optim, config.seed)
    shows_bar = sys.stderr.isatty()
    trainer = L.Trainer(
        accelerator="gpu" if on_gpu else "cpu",
        devices=devices,
        strategy=_strategy(devices, on_gpu),
        precision=_precision(config.precision, on_gpu),  # type: ignore[arg-type]
        max_steps=len(data.plan),
        max_epochs=-1,
        accumulate_grad_batches=accumulation,
        gradient_clip_val=config.optim.max_grad_norm,
        log_every_n_steps=config.log_steps,
        use_distributed_sampler=False,
        enable_model_summary=False,
        enable_progress_bar=shows_bar,
        default_root_dir=folder,
        logger=TensorBoardLogger(save_dir=folder, name="tensorboard", version=""),
        callbacks=_callbacks(config, folder, data, shows_bar),
    )
    if trainer.is_global_zero:
        names = name_devices(devices, on_gpu=on_gpu)
        start = describe_start(sys.orig_argv, world=devices, nodes=config.nodes, devices=names, resumed_from=checkpoint)
        add_start(folder, start)
        print("\n".join(explain(config, data, devices, accumulation, checkpoint)), flush=True)
    with warnings.catch_warnings():
        for about in _ON_PURPOSE:
            warnings.filterwarnings("ignore", f".*{about}")
        trainer.fit(module, datamodule=data, ckpt_path=checkpoint)
    if trainer.is_global_zero:
        print(f"exported: {folder / 'export'}", flush=True)
    return folder / "export"


def _callbacks(config: FinetuneConfig, folder: Path, data: SFTDataModule, shows_bar: bool) -> list[L.Callback]:
    """What runs beside the model; lines of progress where no bar shows it."""
    num_rows = len(data.dataset)
    charts = ChartsCallback(
        config.log_steps,
        [source.name for source in data.dataset.mixture.sources],
        measure_training(read_model_config(config.model), config.model),
        config.data.max_packed_tokens if config.data.packing else None,
        config.peak_tflops,
    )
    return [
        charts,
        EpochCallback(config.batch_size / num_rows),
        BadSamplesCallback(folder, num_rows, config.data.max_bad_share),
        *([] if shows_bar else [ProgressCallback(charts, config.log_steps)]),
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


def _prepare_folder(folder: Path, config: FinetuneConfig, crew: Crew) -> Path | None:
    """Make the run folder, and return the checkpoint to go on from."""
    if crew.is_first and config.overwrite:
        for name in ("checkpoints", "tensorboard", "export", "plan"):
            shutil.rmtree(folder / name, ignore_errors=True)
        for name in (FILE_NAME, "manifest.json", "run.json"):
            (folder / name).unlink(missing_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    if crew.is_first:
        write_config(config, folder / "config.yaml")
    return None if config.overwrite else _find_checkpoint(folder / "checkpoints")


def _rank() -> int:
    """The number of this process before any library has set processes up."""
    return next((int(os.environ[name]) for name in ("RANK", "SLURM_PROCID", "LOCAL_RANK") if name in os.environ), 0)


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
    warnings.filterwarnings("ignore", ".*`srun` command is available on your system")
    warnings.filterwarnings("ignore", ".*LeafSpec.*is deprecated.*")
    # The gradient of the patch convolution is laid out in another way where a pass has a single tile.
    warnings.filterwarnings("ignore", ".*Grad strides do not match bucket view strides.*")


def _strategy(devices: int, on_gpu: bool) -> str | Strategy:
    if devices == 1:
        return "auto"
    return DDPStrategy(process_group_backend="nccl" if on_gpu else "gloo", gradient_as_bucket_view=True)


def _precision(choice: str, on_gpu: bool) -> str:
    if choice != "auto":
        return choice
    return "bf16-mixed" if on_gpu and torch.cuda.is_bf16_supported() else "32-true"
