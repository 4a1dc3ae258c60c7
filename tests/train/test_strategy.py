"""Strategies: which one options and devices ask for, and the state that AdamW gets when a run goes on.

That all of them train the same and read each other's checkpoints is in test_run_strategies.py and test_run_topology.py.
"""

from __future__ import annotations

import pytest
import torch
from torch import nn

from internvl.errors import InputError
from tests.tiny import tiny_model
from train.config import FinetuneConfig
from train.deepspeed import ZeroStrategy
from train.shard import MOMENTS
from train.strategy import ReplicatedStrategy, RowStrategy, SingleStrategy, build_strategy, list_blocks, make_moments


@pytest.mark.parametrize(
    ("name", "world", "kind"),
    [
        ("auto", 1, SingleStrategy),
        ("auto", 2, ReplicatedStrategy),
        ("single", 1, SingleStrategy),
        ("ddp", 1, ReplicatedStrategy),
        ("fsdp2", 4, RowStrategy),
        ("zero1", 2, ZeroStrategy),
        ("zero2", 1, ZeroStrategy),
        ("train/zero/zero_stage3_config_34b.json", 2, ZeroStrategy),
    ],
)
def test_options_and_devices_choose_the_strategy(name, world, kind):
    strategy = build_strategy(FinetuneConfig(strategy=name), world, on_gpu=False, precision="32-true")
    assert type(strategy) is kind
    if kind is ZeroStrategy:
        assert strategy.stage == int(next(letter for letter in name.split("/")[-1] if letter.isdigit()))


def test_fsdp2_casts_by_itself_in_mixed_precision():
    for precision, casts in (("bf16-mixed", True), ("bf16-true", False), ("32-true", False)):
        strategy = build_strategy(FinetuneConfig(strategy="fsdp2"), 2, on_gpu=False, precision=precision)
        assert strategy.bfloat16 == casts


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"strategy": "single"}, r"^strategy: expected one for 2 devices, got single; use ddp, "),
        (
            {"strategy": "ddp", "offload": "optimizer"},
            r"^offload: expected none with strategy ddp, got optimizer; ",
        ),
        ({"strategy": "zero2", "offload": "all"}, r"^offload: expected all with stage 3 alone, got stage 2; "),
        (
            {"strategy": "lost.json"},
            r"^strategy: expected a DeepSpeed JSON file, got lost\.json; use one of zero_",
        ),
    ],
)
def test_what_does_not_fit_is_refused(options, message):
    with pytest.raises(InputError, match=message):
        build_strategy(FinetuneConfig(**options), 2, on_gpu=False, precision="32-true")


def test_the_state_that_a_run_goes_on_with_is_that_of_a_run_that_never_stopped():
    torch.manual_seed(0)
    steps = [torch.randn(3, 4) for _ in range(5)]
    weights = [nn.Parameter(torch.ones(3, 4)) for _ in range(2)]
    optimizers = [torch.optim.AdamW([weight], lr=0.1, fused=True) for weight in weights]
    for gradient in steps[:3]:
        weights[0].grad = gradient.clone()
        optimizers[0].step()
    make_moments(optimizers[1], [weights[1]], step=3)
    for kind in MOMENTS:
        assert not optimizers[1].state[weights[1]][kind].any()
        optimizers[1].state[weights[1]][kind].copy_(optimizers[0].state[weights[0]][kind])
    weights[1].data.copy_(weights[0].data)
    for gradient in steps[3:]:
        for weight, optimizer in zip(weights, optimizers, strict=True):
            weight.grad = gradient.clone()
            optimizer.step()
    assert torch.equal(*weights)


def test_blocks_are_those_of_tower_and_decoder():
    model = tiny_model()
    names = {id(module): name for name, module in model.named_modules()}
    assert [names[id(block)] for block in list_blocks(model)] == [
        *(f"vision_model.encoder.layers.{k}" for k in range(2)),
        *(f"language_model.model.layers.{k}" for k in range(2)),
    ]
