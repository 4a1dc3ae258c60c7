"""Parameter groups and the learning-rate schedule."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from train.config import OptimConfig


def build_optimizer(module: nn.Module, options: OptimConfig) -> torch.optim.AdamW:
    """AdamW over the trainable parameters.

    The published runs decay every parameter; `decay: matrices` spares norms, biases and scales.
    """
    trainable = [parameter for parameter in module.parameters() if parameter.requires_grad]
    spared = [p for p in trainable if options.decay == "matrices" and p.ndim < 2]
    chosen = {id(p) for p in spared}
    groups: list[dict[str, Any]] = [
        {"params": [p for p in trainable if id(p) not in chosen], "weight_decay": options.weight_decay},
        {"params": spared, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(
        [group for group in groups if group["params"]],
        lr=options.learning_rate,
        betas=options.betas,
        eps=options.eps,
        fused=True,
    )


def cosine(options: OptimConfig, num_steps: int) -> Callable[[int], float]:
    """Factor of the learning rate at a step: a linear rise, then half a cosine down to `final_ratio`."""
    warmup = math.ceil(options.warmup_ratio * num_steps)

    def factor(step: int) -> float:
        if step < warmup:
            return step / max(1, warmup)
        progress = min(1.0, (step - warmup) / max(1, num_steps - warmup))
        return options.final_ratio + (1 - options.final_ratio) * 0.5 * (1 + math.cos(math.pi * progress))

    return factor
