"""Lightning's Trainer for a run, with what runs beside the model."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.fabric.plugins.environments import LightningEnvironment, SLURMEnvironment, TorchElasticEnvironment
from lightning.pytorch.loggers import TensorBoardLogger

from train.callbacks.bad_samples import BadSamplesCallback
from train.callbacks.benchmark import BenchmarkCallback
from train.callbacks.charts import ChartsCallback
from train.callbacks.epoch import EpochCallback
from train.callbacks.export import ExportCallback
from train.callbacks.held_out import HeldOutCallback
from train.callbacks.progress import ProgressCallback
from train.callbacks.save import SaveCallback
from train.callbacks.signals import SignalCallback
from train.config import FinetuneConfig
from train.cost import measure_training
from train.data import SFTDataModule
from train.held_out import HeldOut
from train.module import SFTModule
from train.processes import Processes

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


def build_trainer(
    config: FinetuneConfig,
    processes: Processes,
    strategy: Any,
    precision: str,
    data: SFTDataModule,
    module: SFTModule,
    export: Callable[[Path, Path], Path],
    held_out: HeldOut | None,
) -> L.Trainer:
    """The trainer.

    Args:
        config: of the run.
        processes: that train.
        strategy: how they share the state.
        precision: of the computation.
        data: of the run.
        module: of the run.
        export: writes the model of a checkpoint to a folder.
        held_out: rows whose loss is measured meanwhile.
    """
    folder = Path(config.output_dir)
    environments: dict[str, Callable[[], Any]] = {
        "slurm": partial(SLURMEnvironment, auto_requeue=False),  # SignalCallback does it, between two steps
        "torchrun": TorchElasticEnvironment,
        "self": LightningEnvironment,
    }
    # FSDP2 casts by itself.
    own_precision = "32-true" if getattr(strategy, "bfloat16", False) else precision
    shows_bar = sys.stderr.isatty()
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
        callbacks=_list_callbacks(config, data, module, export, held_out, shows_bar=shows_bar),
    )


def quiet() -> None:
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


def _list_callbacks(
    config: FinetuneConfig,
    data: SFTDataModule,
    module: SFTModule,
    export: Callable[[Path, Path], Path],
    held_out: HeldOut | None,
    *,
    shows_bar: bool,
) -> list[L.Callback]:
    folder, num_rows = Path(config.output_dir), len(data.dataset)
    charts = ChartsCallback(
        config.log_steps,
        [source.name for source in data.dataset.mixture.sources],
        measure_training(module.config, config.model),
        config.data.max_packed_tokens if config.data.packing else None,
        config.peak_tflops,
    )
    saver = SaveCallback(folder / "checkpoints", config.save_steps, config.save_total_limit)
    evaluations: list[L.Callback] = []
    if held_out is not None:
        evaluations.append(HeldOutCallback(held_out, config.eval.every_steps, charts))
    if config.eval.benchmarks:
        every, names = config.eval.every_steps, config.eval.benchmarks
        evaluations.append(BenchmarkCallback(names, every, folder, saver, export, charts))
    return [
        charts,
        EpochCallback(config.batch_size / num_rows),
        BadSamplesCallback(folder, num_rows, config.data.max_bad_share),
        *([] if shows_bar else [ProgressCallback(charts, config.log_steps)]),
        saver,
        *evaluations,
        SignalCallback(saver),
        ExportCallback(saver.folder, lambda state: export(state, folder / "export")),
    ]
