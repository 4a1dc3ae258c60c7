"""Where a run goes on, and whether it is still the same run: what changes learning must be what it was."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from pathlib import Path
from typing import Any

from internvl.errors import InputError, MissingError
from internvl.folder import weight_files
from train.config import FinetuneConfig
from train.record import read_starts
from train.state import find_states, read_step

# What is trained. A checkpoint has nothing else in it, so what another choice leaves out would be lost.
_FIXED = (
    *("model.freeze_backbone", "model.freeze_mlp", "model.freeze_llm", "model.unfreeze_vit_layers"),
    *("model.unfreeze_lm_head", "model.use_backbone_lora", "model.use_llm_lora", "model.lora_alpha"),
    "model.vision_select_layer",
)
# What may be another when a run goes on: where it runs, how its samples share the devices, and what it writes.
_FREE = (
    *("output_dir", "batch_size", "per_device_batch_size", "num_train_epochs", "max_steps", "devices", "nodes"),
    *("strategy", "offload", "save_steps", "save_total_limit", "log_steps", "export_dtype", "peak_tflops"),
    *("overwrite", "resume_from", "accept_changes", "dry_run", "seed", "precision"),
    *("model.pretrained", "model.vision_path", "model.mlp_path", "model.llm_path", "model.attention"),
    *("model.grad_checkpoint", "data.meta_path", "data.use_data_resampling", "data.index_cache", "data.index_workers"),
    *("data.packing", "data.max_packed_tokens", "data.max_packed_tiles", "data.group_by_length", "data.num_workers"),
    *("data.max_bad_share",),
)
_LOGS = (".txt", ".log", ".out", ".err")  # what starts a run may write beside it, before it


def describe_run(config: FinetuneConfig, *, weights: str, precision: str, num_steps: int) -> dict[str, Any]:
    """What a run learns from and how, by the names of its options; data, seed and batch size are the data module's.

    Args:
        config: of the run.
        weights: names what it began with.
        precision: that "auto" stands for.
        num_steps: of the whole run, which the learning rate depends on.
    """
    flat: dict[str, Any] = {}
    for name, value in asdict(config).items():
        if name == "eval":
            continue
        parts = value if isinstance(value, dict) else None
        flat |= {name: value} if parts is None else {f"{name}.{key}": each for key, each in parts.items()}
    kept = {name: list(value) if isinstance(value, tuple) else value for name, value in flat.items()}
    chosen = {name: value for name, value in kept.items() if name not in _FREE}
    return {**chosen, "weights": weights, "precision": precision, "steps": num_steps}


def name_weights(folder: Path) -> str:
    """A short hash of a checkpoint folder: its configuration, and the names and sizes of its files of weights."""
    files = [(path.name, path.stat().st_size) for path in weight_files(folder)]
    return hashlib.sha256(repr(((folder / "config.json").read_bytes(), files)).encode()).hexdigest()[:16]


def find_start(config: FinetuneConfig) -> Path | None:
    """The checkpoint that a run goes on from: the one that was named, or the last one of its folder.

    Raises:
        InputError: the named one is none, or the run folder has something else in it.
    """
    folder = Path(config.output_dir)
    own = find_states(folder / "checkpoints")
    if config.resume_from:
        named = Path(config.resume_from)
        if not (named / "checkpoint.json").is_file():
            raise MissingError(
                f"resume_from: expected a training checkpoint, got {named}; name a folder like run/checkpoints/step-200"
            )
        later = [path for step, path in own if path.resolve() != named.resolve() and step > read_step(named)]
        if later and _went_on_from(folder, named):
            return later[-1]  # the same command once more, after a stop
        if later:
            raise InputError(
                f"resume_from: expected no later checkpoint in {folder}, got {later[-1].name}; give another "
                "--output_dir, or move that one away"
            )
        return named
    if config.overwrite:
        return None
    if own:
        return own[-1][1]
    foreign = sorted(path.name for path in folder.iterdir() if path.suffix not in _LOGS) if folder.is_dir() else []
    if foreign and not (folder / "config.yaml").is_file():
        listed = ", ".join(foreign[:3])
        raise InputError(
            f"output_dir: expected a new folder or one of a run, got {folder} with {listed} in it; choose another one"
        )
    return None


def _went_on_from(folder: Path, named: Path) -> bool:
    """Whether the run of a folder began with this checkpoint of another run."""
    if named.resolve().parent == (folder / "checkpoints").resolve():
        return False
    return any(start.get("resumed_from") == str(named) for start in read_starts(folder))


def check_same(before: dict[str, Any], now: dict[str, Any], *, accept: bool) -> list[str]:
    """The options that are others than at the checkpoint, in words.

    Raises:
        InputError: there are some, and they are not accepted; or what is trained is something else.
    """
    names = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    changes = [f"{name} {before.get(name)}, got {now.get(name)}" for name in names]
    fixed = [change for name, change in zip(names, changes, strict=True) if name in _FIXED]
    if fixed and accept:
        raise InputError(
            f"resume: expected the same to be trained as at the checkpoint, {'; '.join(fixed)}; restore it, or export "
            "the checkpoint with python -m train.export and start a new run from that"
        )
    if changes and not accept:
        raise InputError(
            f"resume: expected the options of the checkpoint, {'; '.join(changes)}; restore them, start anew with "
            "--overwrite true, or go on with the new ones with --accept_changes true"
        )
    return changes
