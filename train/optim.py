"""Parameter groups and the learning-rate schedule."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import torch

from internvl.model import InternVLChatModel
from train.config import OptimConfig
from train.parts import find_part, shape_of

_NAMES = {"vision_model": "vision", "mlp1": "mlp", "language_model": "llm"}


def build_optimizer(model: InternVLChatModel, options: OptimConfig, *, on_host: bool = False) -> torch.optim.Optimizer:
    """AdamW over the trainable parameters.

    The published runs decay every parameter; `decay: matrices` spares norms, biases and scales.

    Args:
        model: with frozen and trainable parameters.
        options: rates and decay.
        on_host: the state lies in the memory of the host, where DeepSpeed's own kernel is the fast one.
    """
    groups = group_parameters(model, options)
    keys: dict[str, Any] = {"lr": options.learning_rate, "betas": options.betas, "eps": options.eps}
    if on_host:
        from deepspeed.ops.adam import DeepSpeedCPUAdam

        optimizer: torch.optim.Optimizer = DeepSpeedCPUAdam(groups, adamw_mode=True, **keys)
        return optimizer
    return torch.optim.AdamW(groups, fused=True, **keys)


def group_parameters(model: InternVLChatModel, options: OptimConfig) -> list[dict[str, Any]]:
    """The trainable parameters by learning rate and decay; one group where both are the same for all."""
    num_blocks = len(model.vision_model.encoder.layers)
    grouped: dict[tuple[float, float], dict[str, Any]] = defaultdict(lambda: {"params": [], "name": []})
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        is_spared = options.decay == "matrices" and len(shape_of(parameter)) < 2
        rate = find_rate(name, options, num_blocks)
        group = grouped[rate, 0.0 if is_spared else options.weight_decay]
        group["params"].append(parameter)
        group["name"].append(_name_group(name, options))
    return [
        {
            "params": group["params"],
            "lr": rate,
            "weight_decay": decay,
            "name": "+".join(dict.fromkeys(group["name"])) + ("" if decay == options.weight_decay else "-no-decay"),
        }
        for (rate, decay), group in grouped.items()
    ]


def find_rate(name: str, options: OptimConfig, num_blocks: int) -> float:
    """The peak learning rate of a parameter."""
    part = _NAMES[find_part(name)]
    own: float | None = getattr(options, f"{part}_learning_rate")
    rate = options.learning_rate if own is None else own
    if part == "vision":
        rate *= options.vision_layer_decay ** (num_blocks - 1 - _find_depth(name))
    return rate


def cosine(options: OptimConfig, num_steps: int) -> Callable[[int], float]:
    """Factor of the learning rate at a step: a linear rise, then half a cosine down to `final_ratio`."""
    warmup = math.ceil(options.warmup_ratio * num_steps) if options.warmup_steps is None else options.warmup_steps

    def factor(step: int) -> float:
        if step < warmup:
            return step / max(1, warmup)
        progress = min(1.0, (step - warmup) / max(1, num_steps - warmup))
        return options.final_ratio + (1 - options.final_ratio) * 0.5 * (1 + math.cos(math.pi * progress))

    return factor


def _find_depth(name: str) -> int:
    """The block of a parameter of the tower; its embeddings count as one below the first."""
    _, _, rest = name.partition("encoder.layers.")
    return int(rest.partition(".")[0]) if rest else -1


def _name_group(name: str, options: OptimConfig) -> str:
    part = _NAMES[find_part(name)]
    if part != "vision" or options.vision_layer_decay == 1.0:
        return part
    depth = _find_depth(name)
    return f"{part}-embeddings" if depth < 0 else f"{part}-{depth}"
