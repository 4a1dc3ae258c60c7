"""DeepSpeed: ZeRO 1 to 3, with the published JSON files, on GPUs and, for tests and small runs, on CPUs."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.accelerators import CUDAAccelerator
from lightning.pytorch.strategies import DDPStrategy, DeepSpeedStrategy
from torch import Tensor, nn
from torch.optim import Optimizer

from internvl.errors import InputError, MissingError
from internvl.model import InternVLChatModel
from train.config import FinetuneConfig
from train.shard import Shard, master_shards, part_shards, partition_shards, whole_shards
from train.strategy import MakeModel, ShardedCheckpoints

FOLDER = Path(__file__).with_name("zero")
_OURS = (
    *("optimizer", "scheduler", "fp16", "bf16", "gradient_clipping"),
    *("gradient_accumulation_steps", "train_batch_size", "train_micro_batch_size_per_gpu"),
)


class ZeroStrategy(ShardedCheckpoints, DeepSpeedStrategy):
    """DeepSpeed with checkpoints that any strategy reads.

    Args:
        config: of DeepSpeed, without "auto".
        keys: of Lightning's strategy.
    """

    def __init__(self, config: dict[str, Any], **keys: Any) -> None:
        self.on_gpu = keys.pop("on_gpu")
        if not self.on_gpu:
            os.environ["DS_ACCELERATOR"] = "cpu"
        super().__init__(config=config, **keys)
        self.stage = int(config["zero_optimization"]["stage"])
        zero = config["zero_optimization"]
        self.offload = "all" if "offload_param" in zero else "optimizer" if "offload_optimizer" in zero else "none"
        self.on_host = self.on_gpu and self.offload != "none"

    @property
    def base_optimizer(self) -> Optimizer:
        """Torch's optimizer under DeepSpeed's."""
        optimizer: Optimizer = self.optimizers[0].optimizer
        return optimizer

    def setup_environment(self) -> None:
        """As Lightning does on GPUs; DeepSpeed on the CPU needs no compiler this way."""
        if isinstance(self.accelerator, CUDAAccelerator):
            super().setup_environment()
            return
        import deepspeed.ops

        # Its shared-memory kernels are compiled at first use; gloo does the same work.
        deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
        os.environ["LOCAL_SIZE"] = str(self.num_processes)
        self.parallel_devices = [torch.device("cpu", index) for index in range(self.num_processes)]
        DDPStrategy.setup_environment(self)

    def place(self, make_model: MakeModel) -> InternVLChatModel:
        """The whole model, or with ZeRO-3 a part of every parameter: Lightning calls this inside of `zero.Init`."""
        return make_model(False) if self.stage == 3 else super().place(make_model)

    def model_shards(self, model: nn.Module) -> Iterator[Shard]:
        """What this process keeps of every parameter."""
        return part_shards(model) if self.stage == 3 else whole_shards(model)

    def trained_shards(self, model: nn.Module) -> Iterator[Shard]:
        """What this process updates, in float32."""
        return master_shards(model, self.optimizers[0]) if self.stage == 3 else partition_shards(model)

    def list_stepped(self) -> list[Tensor]:
        """What the optimizer steps; ZeRO-3 hands it one flat part after the other, and only while it steps."""
        if self.stage < 3:
            return super().list_stepped()
        return list(self.optimizers[0].fp32_partitioned_groups_flat)

    def link_moments(self) -> None:
        """Let DeepSpeed's views of the moments show what the optimizer has."""
        if self.stage < 3:
            self.optimizers[0]._hp_optimizer_states_linked = False
            self.optimizers[0]._lazy_init_hp_params_optimizer_state()

    def backward(self, closure_loss: Tensor, optimizer: Optimizer | None, *args: Any, **kwargs: Any) -> None:  # type: ignore[override]
        """Add gradients; the loss is divided by the forward passes of a step once, by Lightning."""
        engine: Any = self.model
        engine.backward(closure_loss, scale_wrt_gas=False)

    def save_checkpoint(self, checkpoint: dict[str, Any], filepath: Any, storage_options: Any = None) -> None:
        """Write a checkpoint folder; all processes do so together."""
        self.link_moments()
        ShardedCheckpoints.save_checkpoint(self, checkpoint, filepath)


def build_deepspeed(config: FinetuneConfig, *, backend: str, timeout: timedelta) -> ZeroStrategy:
    """The strategy for `zero1` to `zero3` or a JSON file."""
    from importlib.util import find_spec

    if find_spec("deepspeed") is None:
        raise MissingError(
            f"strategy: expected deepspeed to be installed for {config.strategy}, got none; run sh shell/setup.sh"
        )
    settings = read_settings(config, on_gpu=backend == "nccl")
    return ZeroStrategy(settings, on_gpu=backend == "nccl", process_group_backend=backend, timeout=timeout)


def read_settings(config: FinetuneConfig, *, on_gpu: bool) -> dict[str, Any]:
    """The JSON of a strategy, without "auto" and without what our options say.

    Raises:
        InputError: no such file, no JSON, or it asks for something else than the options do.
    """
    path = _find_file(config.strategy)
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
        stage = settings["zero_optimization"]["stage"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: expected JSON with zero_optimization.stage, got {error}; correct the file") from None
    if stage not in (1, 2, 3):
        raise InputError(f"{path}: expected stage 1, 2 or 3, got {stage}; use strategy ddp where nothing is shared")
    _check_same(path, settings, config)
    # What is left out here is filled by Lightning, from the trainer and its precision.
    kept = {name: value for name, value in _drop_auto(settings).items() if name not in _OURS}
    kept["zero_optimization"] = _choose_offload(kept["zero_optimization"], config.offload, on_gpu=on_gpu)
    kept |= {"zero_allow_untested_optimizer": True, "train_micro_batch_size_per_gpu": config.per_device_batch_size}
    if not on_gpu:
        kept["zero_force_ds_cpu_optimizer"] = False  # it is compiled at first use, for a minute
    return kept


def _find_file(strategy: str) -> Path:
    if not strategy.endswith(".json"):
        return FOLDER / f"zero_stage{strategy.removeprefix('zero')}_config.json"
    given = Path(strategy)
    path = given if given.is_file() else FOLDER / given.name
    if not path.is_file():
        shipped = ", ".join(sorted(file.name for file in FOLDER.glob("*.json")))
        raise MissingError(f"strategy: expected a DeepSpeed JSON file, got {given}; use one of {shipped}")
    return path


def _drop_auto(settings: dict[str, Any]) -> dict[str, Any]:
    """The settings without those that are left to others: "auto" and null at any depth."""
    inner = {name: _drop_auto(value) if isinstance(value, dict) else value for name, value in settings.items()}
    return {name: value for name, value in inner.items() if value not in ("auto", None)}


def _choose_offload(zero: dict[str, Any], offload: str, *, on_gpu: bool) -> dict[str, Any]:
    places = ("offload_optimizer", "offload_param")
    chosen = {name: each for name, each in zero.items() if name not in places or each.get("device") != "none"}
    if offload != "none":
        chosen["offload_optimizer"] = {"device": "cpu", "pin_memory": True}
    if offload == "all":
        if zero["stage"] != 3:
            raise InputError(f"offload: expected all with stage 3 alone, got stage {zero['stage']}; use optimizer")
        chosen["offload_param"] = {"device": "cpu", "pin_memory": True}
    for name in places:
        if name in chosen:
            chosen[name] = {**chosen[name], "pin_memory": on_gpu and chosen[name].get("pin_memory", False)}
    return chosen


def _check_same(path: Path, settings: dict[str, Any], config: FinetuneConfig) -> None:
    """What a file says of the training must be what the options say."""
    optim, optimizer = config.optim, settings.get("optimizer") or {}
    if optimizer.get("type", "AdamW") != "AdamW":
        raise InputError(f"{path}: expected the optimizer AdamW, got {optimizer['type']}; leave it out of the file")
    ours: dict[str, Any] = {
        "lr": optim.learning_rate,
        "betas": list(optim.betas),
        "eps": optim.eps,
        "weight_decay": optim.weight_decay,
    }
    theirs = {name: value for name, value in optimizer.get("params", {}).items() if name in ours}
    ours |= {
        "gradient_clipping": optim.max_grad_norm,
        "train_batch_size": config.batch_size,
        "train_micro_batch_size_per_gpu": config.per_device_batch_size,
        "gradient_accumulation_steps": "auto",  # it follows from the batch
        "scheduler": "auto",
        "fp16.enabled": False,
        "bf16.enabled": "auto" if config.precision == "auto" else config.precision.startswith("bf16"),
    }
    theirs |= {name: settings[name] for name in ours if name in settings}
    theirs |= {f"{name}.enabled": (settings.get(name) or {}).get("enabled", "auto") for name in ("fp16", "bf16")}
    for name, value in theirs.items():
        if value not in ("auto", None, ours[name]):
            rule = "auto" if ours[name] == "auto" else f"auto or {ours[name]} as in the options"
            raise InputError(f"{path}: expected {name} to be {rule}, got {value}; make them agree")
