"""Shards: views that change what is trained, and shares that cover everything exactly once."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from torch import nn

from tests.tiny import tiny_model
from train.shard import MOMENTS, make_shard, share, whole_shards, with_moments


def test_whole_shards_are_all_parameters_in_place():
    model = tiny_model()
    shards = list(whole_shards(model))
    assert [shard.name for shard in shards] == [name for name, _ in model.named_parameters()]
    for shard, parameter in zip(shards, model.parameters(), strict=True):
        assert (shard.start, shard.kept, shard.moments) == (0, (0, parameter.numel()), {})
        assert torch.equal(shard.values, parameter.flatten())
        shard.values.fill_(3.0)
    assert all(bool((parameter == 3).all()) for parameter in model.parameters())


@pytest.mark.parametrize(("size", "world"), [*product((0, 1, 2, 3, 7, 100), (1, 2, 3, 8))])
def test_shares_cover_everything_exactly_once_in_equal_parts(size, world):
    values = torch.arange(float(size))
    shard = make_shard("w", 5, values, dict.fromkeys(MOMENTS, values + 1))
    parts = [next(share([shard], rank, world)) for rank in range(world)]
    covered = [place for part in parts for place in range(*part.kept)]
    assert covered == list(range(size))
    lengths = [part.kept[1] - part.kept[0] for part in parts]
    assert max(lengths) - min(lengths) <= 1
    for part in parts:
        # They all still have the whole of it.
        assert (part.name, part.start) == ("w", 5)
        assert part.values is values
        assert part.moments is shard.moments


def step(model: nn.Module) -> torch.optim.Optimizer:
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=0.1)
    model(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    return optimizer


def test_moments_belong_to_their_shards_in_place():
    model = nn.Linear(3, 2)
    optimizer = step(model)
    shards = list(with_moments(whole_shards(model), dict(model.named_parameters()), optimizer.state))
    assert [shard.name for shard in shards] == ["weight", "bias"]
    for shard, parameter in zip(shards, model.parameters(), strict=True):
        assert tuple(shard.moments) == MOMENTS
        for kind in MOMENTS:
            assert torch.equal(shard.moments[kind], optimizer.state[parameter][kind].flatten())
            shard.moments[kind].fill_(5.0)
            assert bool((optimizer.state[parameter][kind] == 5).all())


def test_frozen_parameters_have_no_shard_to_save():
    model = nn.Linear(3, 2)
    model.bias.requires_grad_(False)
    shards = with_moments(whole_shards(model), dict(model.named_parameters()), step(model).state)
    assert [shard.name for shard in shards] == ["weight"]


def test_before_the_first_step_there_are_no_moments():
    model = nn.Linear(3, 2)
    shards = list(with_moments(whole_shards(model), dict(model.named_parameters()), {}))
    assert [shard.moments for shard in shards] == [{}, {}]
