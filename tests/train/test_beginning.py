"""The first weights: new adapters are the same whoever draws which part of them, and every shard gets its own."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor, nn

from tests.tiny import tiny_model
from train.beginning import FreshAdapters, fill
from train.config import ModelConfig
from train.parts import choose_parts, is_adapter
from train.shard import make_shard, whole_shards


def make_model(rank: int = 4) -> nn.Module:
    model = tiny_model()
    choose_parts(model, ModelConfig(use_backbone_lora=rank, use_llm_lora=rank))
    return model


def test_the_adapters_of_a_model_and_nothing_else_are_there():
    model = make_model()
    shapes = {name: tuple(parameter.shape) for name, parameter in model.named_parameters() if is_adapter(name)}
    assert FreshAdapters(model, 0).shapes == shapes
    assert len(shapes) == 2 * (2 * 4 + 2 * 7)
    assert FreshAdapters(tiny_model(), 0).shapes == {}


def test_those_that_write_are_zero_and_those_that_read_are_uniform():
    fresh = FreshAdapters(make_model(rank=64), 0)
    for name, shape in fresh.shapes.items():
        values = fresh.read(name).view(shape)
        if ".lora_B." in name:
            assert not values.any()
        else:
            # As torch and peft begin a layer (kaiming with a = sqrt 5): a bound of one over the root of its inputs.
            bound = shape[1] ** -0.5
            assert float(values.abs().max()) <= bound
            assert float(values.abs().max()) > 0.98 * bound
            assert abs(float(values.mean())) < 0.1 * bound
            assert float(values.std()) == pytest.approx(bound / 3**0.5, rel=0.05)


def test_seed_and_name_decide_and_nothing_else():
    one, same, other = FreshAdapters(make_model(), 3), FreshAdapters(make_model(), 3), FreshAdapters(make_model(), 4)
    reading = sorted(name for name in one.shapes if ".lora_A." in name)
    torch.manual_seed(0)
    drawn = {name: one.read(name) for name in reading}
    torch.manual_seed(1)
    for name in reversed(reading):
        assert torch.equal(same.read(name), drawn[name])
        assert not torch.equal(other.read(name), drawn[name])
    assert len({tuple(values.tolist()) for values in drawn.values()}) == len(reading)


def test_drawing_leaves_the_generator_of_the_run_alone():
    fresh = FreshAdapters(make_model(), 0)
    before = torch.get_rng_state()
    fresh.read(next(iter(fresh.shapes)))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(("start", "stop"), [(0, None), (0, 1), (5, 77), (100, None), (9, 9)])
def test_a_range_is_that_of_the_whole(start, stop):
    fresh = FreshAdapters(make_model(), 0)
    for name in fresh.shapes:
        assert torch.equal(fresh.read(name, start, stop), fresh.read(name)[start:stop])


def test_new_adapters_change_nothing():
    plain, model = tiny_model(), make_model()
    fill((shard for shard in whole_shards(model) if is_adapter(shard.name)), FreshAdapters(model, 0))
    ids = torch.arange(100, 120)[None]
    assert torch.equal(plain(input_ids=ids).logits, model.eval()(input_ids=ids).logits)


class Numbers:
    """Every tensor is its elements' numbers; notes what is read."""

    def __init__(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        self.shapes = shapes
        self.ranges: list[tuple[str, int, int | None]] = []

    def read(self, name: str, start: int = 0, stop: int | None = None) -> Tensor:
        self.ranges.append((name, start, stop))
        return torch.arange(1000.0)[start:stop]


def test_every_shard_is_filled_with_its_elements_and_nothing_else_is_read():
    source = Numbers({})
    shards = [make_shard("a.base_layer.weight", 0, torch.zeros(3)), make_shard("b", 7, torch.zeros(2).bfloat16())]
    fill(shards, source)
    assert [shard.values.tolist() for shard in shards] == [[0, 1, 2], [7, 8]]
    assert source.ranges == [("a.weight", 0, 3), ("b", 7, 9)]
    assert shards[1].values.dtype == torch.bfloat16


def test_a_model_is_filled_in_place():
    model = nn.Linear(3, 2)
    model.requires_grad_(True)
    fill(whole_shards(model), Numbers({}))
    assert model.weight.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert model.bias.tolist() == [0, 1]
