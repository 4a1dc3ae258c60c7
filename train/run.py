"""One training run: from the merged options to an exported model."""

from __future__ import annotations

import shutil
import sys
from functools import partial
from pathlib import Path
from typing import Any

import lightning as L
import torch

from internvl.model import InternVLChatConfig
from internvl.model.checkpoint import check_names, make_empty
from internvl.model.tensors import Overlay, TensorSource
from internvl.processor import InternVLProcessor
from internvl.workers import shield_workers
from train.arguments import write_config
from train.bad_samples import FILE_NAME
from train.callbacks import benchmark
from train.callbacks.signals import STOPPED
from train.config import FinetuneConfig
from train.data import SFTDataModule
from train.engine import Crew, build_data, build_held_out
from train.estimate import count_parts, describe_parts, describe_state, estimate_state
from train.explain import explain
from train.exported import export_model
from train.module import SFTModule
from train.parts import choose_parts
from train.processes import Processes, find_processes
from train.record import add_start, describe_start, name_devices
from train.resume import check_same, describe_run, find_start, name_weights
from train.state import SavedState, load_loops
from train.strategy import build_strategy
from train.trainer import build_trainer, quiet
from train.weights import open_weights, prepare_weights


def fit(config: FinetuneConfig) -> int:
    """Train and export; the exit code says whether the run is finished, or was stopped and goes on.

    Goes on from the run folder's last checkpoint unless `overwrite` is set.
    """
    on_gpu = torch.cuda.is_available()
    processes = find_processes(config, torch.cuda.device_count() if on_gpu else 0)
    precision = _choose_precision(config.precision, on_gpu)
    strategy = build_strategy(config, processes.world, on_gpu=on_gpu, precision=precision)
    quiet()
    shield_workers(preload=config.data.num_workers > 0)
    L.seed_everything(config.seed, workers=True, verbose=False)
    crew = Crew(processes.world, is_first=processes.rank == 0)
    start = find_start(config)
    _prepare_folder(config, crew)
    asked, config = config, prepare_weights(config, is_first=crew.is_first)
    model_config, base = open_weights(config)
    if crew.is_first:
        print("\n".join(_explain_model(config, model_config, base, strategy, precision, processes)), flush=True)
        if config.eval.benchmarks:
            benchmark.check_names(config.eval.benchmarks)
    processor = make_processor(config)
    data = build_data(config, processor, crew)
    held_out = build_held_out(config, processor, crew) if config.eval.meta_path else None
    recipe = describe_run(
        config, weights=name_weights(Path(config.model.pretrained)), precision=precision, num_steps=len(data.plan)
    )
    weights, changes = _choose_weights(config, base, start, recipe, data)
    module = SFTModule(model_config, weights, config.model, config.optim, config.seed, recipe)
    export = partial(
        export_state,
        config=config,
        model_config=model_config,
        base=base,
        processor=processor,
        precision=precision,
    )
    if crew.is_first:
        passes = data.plan.num_batches // processes.world
        lines = explain(config, data, processes.world, passes, start)
        print("\n".join([*lines, *(f"changed: {change}" for change in changes)]), flush=True)
    if config.dry_run:
        return 0
    if crew.is_first:
        write_config(asked, Path(config.output_dir) / "config.yaml")
        names = name_devices(processes.devices, on_gpu=on_gpu)
        begun = describe_start(
            sys.orig_argv, world=processes.world, nodes=processes.nodes, devices=names, resumed_from=start
        )
        add_start(Path(config.output_dir), begun)
    trainer = build_trainer(config, processes, strategy, precision, data, module, export, held_out)
    trainer.fit(module, datamodule=data, ckpt_path=start)
    return 0 if trainer.global_step >= len(data.plan) else STOPPED


def _choose_weights(
    config: FinetuneConfig, base: TensorSource, start: Path | None, recipe: dict[str, Any], data: SFTDataModule
) -> tuple[TensorSource, list[str]]:
    """What the model is filled with, and which options are others than at the checkpoint."""
    if start is None:
        return base, []
    loops = load_loops(start)
    data.load_state_dict(loops[type(data).__qualname__])
    changes = check_same(loops["recipe"], recipe, accept=config.accept_changes)
    return Overlay(SavedState(start), base), changes


def export_state(
    state: Path,
    target: Path,
    *,
    config: FinetuneConfig,
    model_config: InternVLChatConfig,
    base: TensorSource,
    processor: InternVLProcessor,
    precision: str,
) -> Path:
    """Write the model of a checkpoint of a run to a folder."""
    dtype = config.export_dtype
    if dtype == "auto":
        dtype = "bfloat16" if precision.startswith("bf16") else "float32"
    return export_model(target, SavedState(state), base, model_config, processor, config.model, getattr(torch, dtype))


def make_processor(config: FinetuneConfig) -> InternVLProcessor:
    """The processor of a run, whose options an exported model keeps."""
    return InternVLProcessor.from_pretrained(
        config.model.pretrained,
        template=config.model.conv_style,
        max_length=config.data.max_seq_length,
        **config.data.tiling,
    )


def _explain_model(
    config: FinetuneConfig,
    model_config: InternVLChatConfig,
    base: TensorSource,
    strategy: Any,
    precision: str,
    processes: Processes,
) -> list[str]:
    """Parts, what of them is trained, and the bytes of the state on every device; no weights are read for it.

    Raises:
        InputError: the weights are those of another model.
    """
    model = make_empty(model_config)
    check_names(model, base, Path(config.model.pretrained))
    choose_parts(model, config.model)
    parts = count_parts(model)
    name = f"zero{strategy.stage}" if hasattr(strategy, "stage") else config.strategy
    if name == "auto":
        name = "single" if processes.world == 1 else "ddp"
    on_host = getattr(strategy, "offload", "none")
    state = estimate_state(parts, strategy=name, precision=precision, world=processes.world, offload=on_host)
    described = describe_state(state, strategy=name, precision=precision, world=processes.world)
    return [*describe_parts(parts), *described]


def _prepare_folder(config: FinetuneConfig, crew: Crew) -> None:
    """Make the run folder, empty of a former run where that is to be overwritten."""
    folder = Path(config.output_dir)
    if not crew.is_first:
        return
    if config.overwrite and not config.dry_run:
        for name in ("checkpoints", "tensorboard", "export", "plan"):
            shutil.rmtree(folder / name, ignore_errors=True)
        for name in (FILE_NAME, "manifest.json", "run.json", "config.yaml"):
            (folder / name).unlink(missing_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "config.yaml").is_file():
        # That of a run which goes on stays until its options are checked.
        write_config(config, folder / "config.yaml")


def _choose_precision(choice: str, on_gpu: bool) -> str:
    if choice != "auto":
        return choice
    return "bf16-mixed" if on_gpu and torch.cuda.is_bf16_supported() else "32-true"
