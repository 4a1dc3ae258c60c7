"""SFTModule: the model under Lightning, with what is trained of it, the loss and the optimiser."""

from __future__ import annotations

from typing import Any, cast

import lightning as L
import torch
from torch import Tensor, nn

from internvl.errors import InputError
from internvl.model import InternVLChatConfig, InternVLChatModel
from internvl.model.checkpoint import make_empty, make_model
from internvl.model.tensors import Overlay, TensorSource
from train.beginning import FreshAdapters, fill
from train.config import ModelConfig, OptimConfig
from train.counts import Counts
from train.dataset import NOT_INPUTS
from train.meters import SourceLosses
from train.optim import build_optimizer, cosine
from train.order import derive_seed
from train.parts import choose_parts, set_modes
from train.strategy import Placing, full_norm


class SFTModule(L.LightningModule):
    """Supervised fine-tuning of an InternVL-Chat checkpoint.

    Args:
        config: of the model.
        weights: what it begins with, and where it goes on, the weights at that point.
        model: what of it to train.
        optim: how to train it.
        seed: of what is random in a forward pass, drop path for one.
        recipe: what a run that goes on must have in common with this one.
    """

    model: InternVLChatModel

    def __init__(
        self,
        config: InternVLChatConfig,
        weights: TensorSource,
        model: ModelConfig,
        optim: OptimConfig,
        seed: int = 0,
        recipe: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.config = config
        self.weights: TensorSource | None = weights
        self.options = model
        self.optim = optim
        self.seed = seed
        self.counts = Counts()  # of the present optimiser step, over all ranks
        self.rates: dict[str, float] = {}  # of the present step
        self.parts: list[tuple[Tensor, Tensor]] = []  # of its loss, and the samples that each is from
        self.source_losses: SourceLosses | None = None  # of every data set; counted for whoever puts it there
        self.kept_buffers: list[tuple[nn.Module, str, Tensor]] = []
        self.recipe = recipe or {}
        self.is_told_to_stop = False  # this process
        self.stops_here = False  # all processes, after the present step

    def configure_model(self) -> None:
        """Make the model as the strategy spreads it, and read what this process keeps of its weights."""
        if hasattr(self, "model"):
            return
        assert self.weights is not None
        strategy = cast(Placing, self.trainer.strategy)
        self.model = strategy.place(self._make_model)
        weights = Overlay(self.weights, FreshAdapters(self.model, self.seed))
        fill(strategy.model_shards(self.model), weights)
        self.weights = None  # files that are no longer needed
        self.kept_buffers = list(_list_float_buffers(self.model))
        self.train()

    def _make_model(self, empty: bool) -> InternVLChatModel:
        """The model with its frozen parts and adapters."""
        attention = self.options.attention
        if attention == "auto":
            attention = "flash_attention_2" if _has_flash_attention() else "sdpa"
        frozen_tower = self.options.freeze_backbone and not self.options.unfreeze_vit_layers
        self.config.vision_config.drop_path_rate = 0.0 if frozen_tower else self.options.drop_path_rate
        make = make_empty if empty else make_model
        model = make(self.config, dtype=torch.get_default_dtype(), attention=attention)
        choose_parts(model, self.options)
        recomputed = self.options.grad_checkpoint
        model.recompute(vision=recomputed in (True, "vision"), language=recomputed in (True, "llm"))
        return model

    def train(self, mode: bool = True) -> SFTModule:
        """Frozen parts stay in evaluation mode, or their drop path and dropout would stay on."""
        super().train(mode)
        if hasattr(self, "model"):
            set_modes(self.model, training=mode)
        return self

    def on_fit_start(self) -> None:
        """Give rotary frequencies their precision back, which a model in bfloat16 takes from every buffer."""
        for module, name, buffer in self.kept_buffers:
            setattr(module, name, buffer.to(self.device))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Save what a run that goes on must have in common with this one."""
        checkpoint["recipe"] = self.recipe

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Count the finished steps in the forward passes of this run; the run before may have needed more or fewer."""
        passes = checkpoint["global_step"] * self.trainer.accumulate_grad_batches
        progress = checkpoint["loops"]["fit_loop"]["epoch_loop.batch_progress"]
        for counts in (progress["total"], progress["current"]):
            # Checkpoints are written when a pass is processed but not yet completed.
            counts.update(ready=passes, started=passes, processed=passes, completed=passes - 1)
        progress["is_last_batch"] = False
        for schedule in checkpoint["lr_schedulers"]:
            # Rates are those of the options, which may have been changed.
            del schedule["base_lrs"], schedule["_last_lr"]
            schedule["lr_lambdas"] = []

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        """The batch's part of the step's loss: a weighted mean over all learned tokens of the step, on all ranks."""
        passes = self.trainer.accumulate_grad_batches
        if batch_idx % passes == 0:
            counts = self._sum_up(batch["counts"])
            self.counts = Counts.from_tensor(counts[:-1])
            self.stops_here = bool(counts[-1])
            self.parts.clear()
        # By the place in the run, so that one that goes on draws what it would have drawn.
        place = self.trainer.global_step, batch_idx % passes, self.trainer.global_rank
        torch.manual_seed(derive_seed(self.seed, *place))
        inputs = {name: value for name, value in batch.items() if name not in NOT_INPUTS}
        inputs["loss_weight"] = inputs["loss_weight"].view(torch.float32)
        # A step without any label has the loss 0, and the same graph as every other.
        total = torch.tensor(max(self.counts.weight, 1e-6), dtype=torch.float32, device=self.device)
        asked = self.source_losses is not None
        output = self.model(**inputs, total_weight=total, all_logits=False, with_token_losses=asked)
        if self.source_losses is not None:
            self.source_losses.add(output.token_losses, batch["sources"][output.token_samples])
        loss = output.loss
        self.parts.append((loss.detach(), batch["positions"]))
        if (batch_idx + 1) % passes == 0:
            whole = self.trainer.strategy.reduce(torch.stack([part for part, _ in self.parts]).sum(), reduce_op="sum")
            self._check_finite("loss", whole)
            self.log("train/loss", whole, prog_bar=True)
        # Lightning divides by the passes, and ranks average their gradients.
        return loss * (passes * self.trainer.world_size)

    def configure_gradient_clipping(
        self, optimizer: Any, gradient_clip_val: float | None = None, gradient_clip_algorithm: str | None = None
    ) -> None:
        """Clip, and log the norm from before; DeepSpeed clips by itself, in its step."""
        if not hasattr(self.trainer.strategy, "stage"):
            norm = full_norm(nn.utils.clip_grad_norm_(self.parameters(), self.optim.max_grad_norm))
            self._log_step(norm)

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Note the learning rates of this step: DeepSpeed sets the next ones before its step can be logged."""
        groups = self.trainer.optimizers[0].param_groups
        self.rates = {group.get("name", ""): group["lr"] for group in groups}

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Log what DeepSpeed only knows after its step."""
        engine: Any = self.trainer.model
        if hasattr(self.trainer.strategy, "stage") and (batch_idx + 1) % self.trainer.accumulate_grad_batches == 0:
            self._log_step(torch.as_tensor(engine.get_global_grad_norm()))

    def configure_optimizers(self) -> Any:
        """AdamW with warm-up and cosine, stepped every optimiser step."""
        optimizer = build_optimizer(self.model, self.optim, on_host=getattr(self.trainer.strategy, "on_host", False))
        steps = int(self.trainer.estimated_stepping_batches)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, cosine(self.optim, steps))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _sum_up(self, counts: Tensor) -> Tensor:
        """The counts of all processes, and last, how many of these were told to stop."""
        told = torch.tensor([float(self.is_told_to_stop)], dtype=torch.float64, device=counts.device)
        summed: Tensor = self.trainer.strategy.reduce(torch.cat([counts.view(torch.float64), told]), reduce_op="sum")
        return summed

    def _log_step(self, norm: Tensor) -> None:
        self._check_finite("gradient_norm", norm)
        self.log("train/gradient_norm", norm.float())
        self.log("train/learning_rate", max(self.rates.values()))
        # By their peaks: in the first step of a warm-up all of them are zero.
        if len({group["initial_lr"] for group in self.trainer.optimizers[0].param_groups}) > 1:
            self.log_dict({f"learning_rate/{name}": rate for name, rate in self.rates.items()})

    def _check_finite(self, what: str, value: Tensor) -> None:
        """Stop on all ranks before anything is learned from a number that is none.

        Raises:
            InputError: on the first rank, with the samples; the others leave it the last word.
        """
        if bool(torch.isfinite(value)):
            return
        bad = [positions for part, positions in self.parts if not bool(torch.isfinite(part))]
        mine = torch.cat([*bad, torch.empty(0, dtype=torch.int64, device=self.device)]).tolist()
        found: list[list[int]] = [[] for _ in range(self.trainer.world_size)]
        if self.trainer.world_size > 1:
            torch.distributed.all_gather_object(found, mine)
        else:
            found = [mine]
        if not self.trainer.is_global_zero:
            raise SystemExit(2)
        data: Any = self.trainer.datamodule  # type: ignore[attr-defined]
        samples = [data.dataset.name_sample(position) for rank in found for position in rank]
        among = f" among the samples {', '.join(samples[:8])}" if samples else ""
        more = f" and {len(samples) - 8} more" if len(samples) > 8 else ""
        raise InputError(
            f"{what}: expected a number in step {self.trainer.global_step + 1}, got {float(value)}{among}{more}; look "
            "at them, or lower the learning rate; the last checkpoint is good, and the same command goes on from it"
        )


def _list_float_buffers(model: nn.Module) -> Any:
    """Modules with buffers that no checkpoint holds, the names of these, and their values."""
    for module in model.modules():
        for name in module._non_persistent_buffers_set:
            buffer = getattr(module, name)
            if torch.is_tensor(buffer) and buffer.is_floating_point():
                yield module, name, buffer.clone()


def _has_flash_attention() -> bool:
    from importlib.util import find_spec

    return torch.cuda.is_available() and find_spec("flash_attn") is not None
