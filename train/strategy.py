"""How the devices of a run share its training state: one device, DDP or FSDP2; DeepSpeed is in train/deepspeed.py.

Every strategy says how a model is placed and which shards of it a process keeps. Checkpoints are made of these shards,
so each can be read by every other, on any number of devices.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol

import torch
from lightning.pytorch.strategies import DDPStrategy, ModelParallelStrategy, SingleDeviceStrategy
from torch import Tensor, nn
from torch.optim import Optimizer

from internvl.errors import InputError
from internvl.model import InternVLChatModel
from internvl.model.devices import materialize
from train.config import FinetuneConfig
from train.parts import name_stored, shape_of
from train.shard import MOMENTS, Shard, row_shards, share, whole_shards, with_moments
from train.state import SavedState, load_loops, load_shards, save_state

# One process may prepare data or evaluate for hours while the others wait for it.
_PATIENCE = timedelta(hours=24)
MakeModel = Callable[[bool], InternVLChatModel]
"""Makes the model; without memory for its parameters if it is given true."""


class Placing(Protocol):
    """What `SFTModule` asks of a strategy."""

    def place(self, make_model: MakeModel) -> InternVLChatModel:
        """The model, spread as the strategy wants it, its values still to be filled."""

    def model_shards(self, model: nn.Module) -> Iterator[Shard]:
        """What this process keeps of every parameter."""


class ShardedCheckpoints:
    """Saves and restores the trained state in shards, in the place of Lightning's own files.

    The weights are restored before, when the model is filled (`Overlay` of the checkpoint over what it began with).
    """

    lightning_module: Any
    optimizers: Any
    lr_scheduler_configs: Any
    global_rank: int
    barrier: Any

    def place(self, make_model: MakeModel) -> InternVLChatModel:
        """The whole model in the memory of this process's device."""
        model = make_model(True)
        device: torch.device = self.root_device  # type: ignore[attr-defined]
        materialize(model, device)
        return model

    def model_shards(self, model: nn.Module) -> Iterator[Shard]:
        """What this process keeps of every parameter."""
        return whole_shards(model)

    def trained_shards(self, model: nn.Module) -> Iterator[Shard]:
        """What this process keeps and saves of what is trained, with the moments of the optimizer."""
        return with_moments(self.model_shards(model), dict(model.named_parameters()), self.base_optimizer.state)

    def list_stepped(self) -> list[Tensor]:
        """What the optimizer steps: parameters, or flat parts of several."""
        return [parameter for group in self.base_optimizer.param_groups for parameter in group["params"]]

    def link_moments(self) -> None:
        """Tell the strategy that the optimizer has moments now."""

    @property
    def base_optimizer(self) -> Optimizer:
        """Torch's optimizer under whatever the strategy has around it."""
        optimizer: Optimizer = self.optimizers[0]
        return optimizer

    @property
    def lightning_restore_optimizer(self) -> bool:
        """Lightning is to call `load_optimizer_state_dict`."""
        return True

    def lightning_module_state_dict(self) -> dict[str, Any]:
        """Nothing: the weights are saved in shards."""
        return {}

    def optimizer_state(self, optimizer: Optimizer) -> dict[str, Any]:
        """Nothing: the moments are saved in shards."""
        return {}

    def load_model_state_dict(self, checkpoint: Mapping[str, Any], strict: bool = True) -> None:
        """Nothing: the model was filled with the weights of the checkpoint."""

    def save_checkpoint(self, checkpoint: dict[str, Any], filepath: Any, storage_options: Any = None) -> None:
        """Write a checkpoint folder; all processes do so together."""
        model = self.lightning_module.model
        trained = ((name, p) for name, p in model.named_parameters() if p.requires_grad)
        shapes = {name_stored(name): shape_of(parameter) for name, parameter in trained}
        shards = self.trained_shards(model)
        save_state(Path(filepath), shards, checkpoint, shapes, rank=self.global_rank, barrier=self.barrier)

    def load_checkpoint(self, checkpoint_path: Any, weights_only: bool | None = None) -> dict[str, Any]:
        """All of a checkpoint but its tensors."""
        return {**load_loops(Path(checkpoint_path)), "folder": str(checkpoint_path)}

    def load_optimizer_state_dict(self, checkpoint: Mapping[str, Any]) -> None:
        """Restore the moments, and the full precision of the weights where the model has less."""
        make_moments(self.base_optimizer, self.list_stepped(), checkpoint["global_step"])
        (stored,), (config,) = checkpoint["lr_schedulers"], self.lr_scheduler_configs
        rates = zip(
            self.base_optimizer.param_groups, config.scheduler.base_lrs, config.scheduler.lr_lambdas, strict=True
        )
        for group, peak, factor in rates:
            group["lr"] = peak * factor(stored["last_epoch"])
        self.link_moments()
        load_shards(self.trained_shards(self.lightning_module.model), SavedState(checkpoint["folder"]))


def make_moments(optimizer: Optimizer, parameters: Iterable[Tensor], step: int) -> None:
    """Give AdamW the state that it would only make in its first step."""
    is_fused = bool(optimizer.defaults.get("fused"))
    for parameter in parameters:
        state = optimizer.state[parameter]
        state.update({kind: torch.zeros_like(parameter) for kind in MOMENTS})
        # torch keeps the number of steps as a tensor where its kernels want it; DeepSpeed's optimizer as a number.
        device = parameter.device if is_fused else "cpu"
        is_torch = isinstance(optimizer, torch.optim.AdamW)
        state["step"] = torch.tensor(float(step), device=device) if is_torch else step


class SingleStrategy(ShardedCheckpoints, SingleDeviceStrategy):
    """One device."""


class ReplicatedStrategy(ShardedCheckpoints, DDPStrategy):
    """DDP: every device has the whole state; each process saves a part of it."""

    def trained_shards(self, model: nn.Module) -> Iterator[Shard]:
        """All that is trained; of that, this process saves its share."""
        return share(super().trained_shards(model), self.global_rank, self.world_size)


class RowStrategy(ShardedCheckpoints, ModelParallelStrategy):
    """FSDP2: every device has some rows of every parameter, and gathers a block's when it needs them.

    Args:
        bfloat16: compute and send in bfloat16; the state and the sums of gradients stay in float32.
    """

    def __init__(self, *, bfloat16: bool, world: int, **keys: Any) -> None:
        super().__init__(data_parallel_size=world, tensor_parallel_size=1, **keys)
        self.bfloat16 = bfloat16

    def place(self, make_model: MakeModel) -> InternVLChatModel:
        """The rows of this process in the memory of its device."""
        from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

        model = make_model(True)
        policy = MixedPrecisionPolicy(cast_forward_inputs=False)
        if self.bfloat16:
            # Inputs are not cast: among them are the weights of the loss.
            policy = MixedPrecisionPolicy(torch.bfloat16, torch.float32, cast_forward_inputs=False)
        mesh = self.device_mesh["data_parallel"]
        for block in list_blocks(model):
            fully_shard(block, mesh=mesh, mp_policy=policy)
        fully_shard(model, mesh=mesh, mp_policy=policy)
        materialize(model, self.root_device)
        return model

    def model_shards(self, model: nn.Module) -> Iterator[Shard]:
        """The rows of this process."""
        return row_shards(model)


def list_blocks(model: InternVLChatModel) -> list[nn.Module]:
    """The repeated blocks of tower and decoder."""
    decoder: Any = model.language_model.base_model
    return [*model.vision_model.encoder.layers, *decoder.layers]


def build_strategy(config: FinetuneConfig, world: int, *, on_gpu: bool, precision: str) -> Any:
    """The strategy that the options ask for.

    Raises:
        InputError: one that does not fit the devices.
    """
    choice = config.strategy
    if choice == "auto":
        choice = "single" if world == 1 else "ddp"
    if choice == "single" and world > 1:
        raise InputError(
            f"strategy: expected one for {world} devices, got single; use ddp, fsdp2, zero1, zero2 or zero3"
        )
    if config.offload != "none" and choice in ("single", "ddp", "fsdp2"):
        raise InputError(f"offload: expected none with strategy {choice}, got {config.offload}; use zero2 or zero3")
    backend = "nccl" if on_gpu else "gloo"
    if choice == "single":
        return SingleStrategy(torch.device("cuda", 0) if on_gpu else torch.device("cpu"))
    if choice == "ddp":
        return ReplicatedStrategy(process_group_backend=backend, timeout=_PATIENCE, gradient_as_bucket_view=True)
    if choice == "fsdp2":
        reduced = precision == "bf16-mixed"
        return RowStrategy(bfloat16=reduced, world=world, process_group_backend=backend, timeout=_PATIENCE)
    from train.deepspeed import build_deepspeed

    return build_deepspeed(config, backend=backend, timeout=_PATIENCE)


def full_norm(norm: Tensor) -> Tensor:
    """A norm over all processes as a plain tensor."""
    return norm.full_tensor() if hasattr(norm, "full_tensor") else norm
