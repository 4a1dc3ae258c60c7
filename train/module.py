"""SFTModule: the model under Lightning, with freezing, the loss and the optimiser."""

from __future__ import annotations

from typing import Any

import lightning as L
import torch
from torch import Tensor, nn

from internvl.errors import InputError
from internvl.model import InternVLChatModel, load_model
from train.config import ModelConfig, OptimConfig
from train.counts import Counts
from train.dataset import NOT_INPUTS
from train.meters import SourceLosses
from train.optim import build_optimizer, cosine
from train.order import derive_seed


class SFTModule(L.LightningModule):
    """Supervised fine-tuning of an InternVL-Chat checkpoint.

    Args:
        model: what to train; the weights are loaded in `configure_model`.
        optim: how to train it.
        seed: of what is random in a forward pass, drop path for one.
    """

    model: InternVLChatModel

    def __init__(self, model: ModelConfig, optim: OptimConfig, seed: int = 0) -> None:
        super().__init__()
        self.options = model
        self.optim = optim
        self.seed = seed
        self.pretrained = model.pretrained
        self.template = model.conv_style
        self.counts = Counts()  # of the present optimiser step, over all ranks
        self.parts: list[Tensor] = []  # of its loss, from the forward passes so far
        self.source_losses: SourceLosses | None = None  # of every data set; counted for whoever puts it there

    def configure_model(self) -> None:
        """Load the checkpoint and freeze what is to stay."""
        if hasattr(self, "model"):
            return
        attention = self.options.attention
        if attention == "auto":
            attention = "flash_attention_2" if _has_flash_attention() else "sdpa"
        frozen_tower = self.options.freeze_backbone
        self.model = load_model(
            self.pretrained,
            attention=attention,
            drop_path_rate=0.0 if frozen_tower else self.options.drop_path_rate,
        )
        for name, frozen in self.frozen_parts().items():
            getattr(self.model, name).requires_grad_(not frozen)
        self.train()
        if not any(parameter.requires_grad for parameter in self.model.parameters()):
            raise InputError("model: expected at least one trainable part, got all frozen; unfreeze one")

    def frozen_parts(self) -> dict[str, bool]:
        """The three parts by their published names, and whether each is frozen."""
        return {
            "vision_model": self.options.freeze_backbone,
            "mlp1": self.options.freeze_mlp,
            "language_model": self.options.freeze_llm,
        }

    def train(self, mode: bool = True) -> SFTModule:
        """Frozen parts stay in evaluation mode, or their drop path and dropout would stay on."""
        super().train(mode)
        if hasattr(self, "model"):
            for name, frozen in self.frozen_parts().items():
                if frozen:
                    getattr(self.model, name).eval()
        return self

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Count the finished steps in the forward passes of this run; the run before may have needed more or fewer."""
        passes = checkpoint["global_step"] * self.trainer.accumulate_grad_batches
        progress = checkpoint["loops"]["fit_loop"]["epoch_loop.batch_progress"]
        for counts in (progress["total"], progress["current"]):
            # Checkpoints are written when a pass is processed but not yet completed.
            counts.update(ready=passes, started=passes, processed=passes, completed=passes - 1)
        progress["is_last_batch"] = False

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        """The batch's part of the step's loss: a weighted mean over all learned tokens of the step, on all ranks."""
        passes = self.trainer.accumulate_grad_batches
        if batch_idx % passes == 0:
            counts = self.trainer.strategy.reduce(batch["counts"].view(torch.float64).clone(), reduce_op="sum")
            self.counts = Counts.from_tensor(counts)
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
        self.parts.append(loss.detach())
        if (batch_idx + 1) % passes == 0:
            whole = torch.stack(self.parts).sum()
            self.log("train/loss", whole, prog_bar=True, sync_dist=self.trainer.world_size > 1, reduce_fx="sum")
        # Lightning divides by the passes, and ranks average their gradients.
        return loss * (passes * self.trainer.world_size)

    def configure_gradient_clipping(
        self, optimizer: Any, gradient_clip_val: float | None = None, gradient_clip_algorithm: str | None = None
    ) -> None:
        """Clip, and log the norm from before with the step's learning rate."""
        norm = nn.utils.clip_grad_norm_(self.parameters(), self.optim.max_grad_norm)
        self.log("train/gradient_norm", norm)
        self.log("train/learning_rate", optimizer.param_groups[0]["lr"])

    def configure_optimizers(self) -> Any:
        """AdamW with warm-up and cosine, stepped every optimiser step."""
        optimizer = build_optimizer(self, self.optim)
        steps = int(self.trainer.estimated_stepping_batches)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, cosine(self.optim, steps))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def _has_flash_attention() -> bool:
    from importlib.util import find_spec

    return torch.cuda.is_available() and find_spec("flash_attn") is not None
