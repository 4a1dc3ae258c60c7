"""The optimiser's groups and the learning-rate curve."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from train.config import OptimConfig
from train.optim import build_optimizer, cosine


class Block(nn.Module):
    """A matrix, a bias, a norm, a scale, a bank of embeddings and a convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 2)
        self.norm = nn.LayerNorm(3)
        self.scale = nn.Parameter(torch.ones(3))
        self.embedding = nn.Embedding(5, 3)
        self.convolution = nn.Conv2d(1, 1, 2, bias=False)


def group_names(optimizer: torch.optim.Optimizer, module: nn.Module) -> list[tuple[float, set[str]]]:
    names = {id(parameter): name for name, parameter in module.named_parameters()}
    return [(group["weight_decay"], {names[id(p)] for p in group["params"]}) for group in optimizer.param_groups]


def test_all_parameters_decay_as_published():
    module = Block()
    optimizer = build_optimizer(module, OptimConfig(weight_decay=0.05))
    assert group_names(optimizer, module) == [(0.05, {name for name, _ in module.named_parameters()})]


def test_matrices_only_spares_norms_biases_and_scales():
    module = Block()
    optimizer = build_optimizer(module, OptimConfig(weight_decay=0.05, decay="matrices"))
    assert group_names(optimizer, module) == [
        (0.05, {"linear.weight", "embedding.weight", "convolution.weight"}),
        (0.0, {"linear.bias", "norm.weight", "norm.bias", "scale"}),
    ]


@pytest.mark.parametrize("decay", ["all", "matrices"])
def test_frozen_parameters_are_left_out(decay):
    module = Block()
    module.linear.requires_grad_(False)
    module.scale.requires_grad_(False)
    named = set().union(*(names for _, names in group_names(build_optimizer(module, OptimConfig(decay=decay)), module)))
    assert named == {"norm.weight", "norm.bias", "embedding.weight", "convolution.weight"}


def test_a_group_without_parameters_is_left_out():
    module = nn.Linear(3, 2, bias=False)
    assert len(build_optimizer(module, OptimConfig(decay="matrices")).param_groups) == 1


def test_options_reach_adamw():
    options = OptimConfig(learning_rate=0.3, betas=(0.8, 0.7), eps=1e-5)
    optimizer = build_optimizer(nn.Linear(2, 2), options)
    assert isinstance(optimizer, torch.optim.AdamW)
    assert (optimizer.defaults["lr"], optimizer.defaults["betas"], optimizer.defaults["eps"]) == (0.3, (0.8, 0.7), 1e-5)


def test_the_published_run_warms_up_for_75_of_its_2477_steps():
    factor = cosine(OptimConfig(warmup_ratio=0.03), 2477)
    assert [factor(step) for step in (0, 15, 75)] == [0.0, 15 / 75, 1.0]
    assert factor(74) == 74 / 75
    assert factor(76) < 1.0


@pytest.mark.parametrize("final_ratio", [0.0, 0.05, 1.0])
def test_the_curve_is_half_a_cosine_down_to_its_final_share(final_ratio):
    factor = cosine(OptimConfig(warmup_ratio=0.0, final_ratio=final_ratio), 100)
    assert factor(0) == 1.0
    assert factor(50) == pytest.approx((1 + final_ratio) / 2)
    assert factor(25) == pytest.approx(final_ratio + (1 - final_ratio) * (1 + math.sqrt(0.5)) / 2)
    assert factor(100) == pytest.approx(final_ratio, abs=1e-12)
    # The schedule is asked once more than there are steps.
    assert factor(101) == pytest.approx(final_ratio, abs=1e-12)


@pytest.mark.parametrize(("ratio", "steps"), [(0.03, 1), (1.0, 4), (0.0, 1)])
def test_the_shortest_runs_have_a_curve(ratio, steps):
    factor = cosine(OptimConfig(warmup_ratio=ratio), steps)
    assert all(0.0 <= factor(step) <= 1.0 for step in range(steps + 2))
