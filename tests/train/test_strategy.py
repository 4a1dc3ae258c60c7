"""Strategies: which one the options stand for, what they refuse, and the moments that a run goes on with."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from internvl.errors import InputError
from tests.tiny import tiny_model
from train.config import FinetuneConfig
from train.strategy import (
    ReplicatedStrategy,
    RowStrategy,
    SingleStrategy,
    build_strategy,
    full_norm,
    list_blocks,
    make_moments,
)


def build(world: int = 1, *, on_gpu: bool = False, precision: str = "32-true", **options: Any) -> Any:
    return build_strategy(FinetuneConfig(**options), world, on_gpu=on_gpu, precision=precision)


@pytest.mark.parametrize(
    ("strategy", "world", "kind"),
    [
        ("auto", 1, SingleStrategy),
        ("auto", 2, ReplicatedStrategy),
        ("single", 1, SingleStrategy),
        ("ddp", 2, ReplicatedStrategy),
        ("ddp", 1, ReplicatedStrategy),
        ("fsdp2", 2, RowStrategy),
    ],
)
def test_a_choice_is_a_strategy(strategy, world, kind):
    assert type(build(world, strategy=strategy)) is kind


@pytest.mark.parametrize("stage", [1, 2, 3])
def test_zero_has_its_stage(stage, monkeypatch):
    monkeypatch.setenv("DS_ACCELERATOR", "cpu")
    assert build(2, strategy=f"zero{stage}").stage == stage


@pytest.mark.parametrize("strategy", ["ddp", "fsdp2"])
def test_processes_talk_by_the_way_of_their_devices(strategy):
    assert build(2, strategy=strategy)._process_group_backend == "gloo"
    assert build(2, strategy=strategy, on_gpu=True)._process_group_backend == "nccl"


def test_one_device_is_the_first_gpu_or_the_cpu():
    assert build().root_device == torch.device("cpu")
    assert build(on_gpu=True).root_device == torch.device("cuda", 0)


@pytest.mark.parametrize(("precision", "reduced"), [("32-true", False), ("bf16-mixed", True), ("bf16-true", False)])
def test_rows_are_sent_in_bfloat16_where_that_is_mixed(precision, reduced):
    assert build(2, strategy="fsdp2", precision=precision).bfloat16 is reduced


def test_one_device_is_not_for_several():
    with pytest.raises(InputError, match=r"^strategy: expected one for 4 devices, got single; use ddp, fsdp2, zero1, "):
        build(4, strategy="single")


@pytest.mark.parametrize(("strategy", "world"), [("auto", 1), ("auto", 2), ("single", 1), ("ddp", 2), ("fsdp2", 2)])
def test_the_memory_of_the_host_is_for_zero_alone(strategy, world):
    with pytest.raises(InputError, match=r"^offload: expected none with strategy \w+, got optimizer; use zero2 or z"):
        build(world, strategy=strategy, offload="optimizer")


def test_an_unknown_strategy_is_named():
    with pytest.raises(InputError, match=r"^strategy: expected auto, single, .* or a DeepSpeed JSON file, got tpu; "):
        build(strategy="tpu")


def test_the_blocks_are_those_of_tower_and_decoder():
    model = tiny_model(vision_config={"num_hidden_layers": 3})
    assert list_blocks(model) == [*model.vision_model.encoder.layers, *model.language_model.model.layers]
    assert len(list_blocks(model)) == 3 + 2


def step(model: nn.Module, optimizer: torch.optim.Optimizer, number: int) -> None:
    torch.manual_seed(number)
    model(torch.randn(2, 3)).square().sum().backward()
    optimizer.step()
    optimizer.zero_grad()


@pytest.mark.parametrize("fused", [False, True])
def test_made_moments_are_those_that_the_optimizer_would_have(fused):
    whole, rest = (nn.Linear(3, 2) for _ in range(2))
    one = torch.optim.AdamW(whole.parameters(), lr=0.1, fused=fused)
    for number in range(4):
        if number == 2:
            rest.load_state_dict(whole.state_dict())
            two = torch.optim.AdamW(rest.parameters(), lr=0.1, fused=fused)
            make_moments(two, rest.parameters(), 2)
            for before, after in zip(whole.parameters(), rest.parameters(), strict=True):
                assert two.state[after].keys() == one.state[before].keys()
                assert two.state[after]["step"] == one.state[before]["step"]
                for kind in ("exp_avg", "exp_avg_sq"):
                    assert not two.state[after][kind].any()
                    two.state[after][kind].copy_(one.state[before][kind])
        step(whole, one, number)
        if number >= 2:
            step(rest, two, number)
    assert all(torch.equal(*both) for both in zip(whole.parameters(), rest.parameters(), strict=True))


def test_other_optimizers_count_their_steps_in_a_number():
    parameter = nn.Parameter(torch.ones(3))
    optimizer = torch.optim.SGD([parameter], lr=1.0)
    make_moments(optimizer, [parameter], 7)
    assert optimizer.state[parameter]["step"] == 7
    assert isinstance(optimizer.state[parameter]["step"], int)


def test_a_plain_norm_stays():
    norm = torch.tensor(3.0)
    assert full_norm(norm) is norm


def test_a_model_gets_memory_and_keeps_its_ties():
    strategy = build()

    def make(empty: bool) -> nn.Module:
        assert empty
        from internvl.model.checkpoint import make_empty
        from tests.tiny import tiny_config

        return make_empty(tiny_config(llm_config={"tie_word_embeddings": True}, tie_word_embeddings=True))

    model = strategy.place(make)
    assert {parameter.device.type for parameter in model.parameters()} == {"cpu"}
    assert model.language_model.lm_head.weight is model.language_model.model.embed_tokens.weight
    assert [shard.name for shard in strategy.model_shards(model)] == [name for name, _ in model.named_parameters()]
