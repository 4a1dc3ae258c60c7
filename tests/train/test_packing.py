"""Packs of a group: inside the budgets, nothing lost, and as even as the samples allow."""

from __future__ import annotations

import numpy as np
import pytest

from internvl.errors import InputError
from train.packing import CostModel, PackBudget, pack_groups

COST = CostModel(per_token=0.99e9, per_square=43_008, per_tile=0.72e12)


def draw(num_samples: int, seed: int = 0, longest: int = 2048) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    tokens = np.clip(np.rint(random.lognormal(np.log(350), 0.885, num_samples)), 48, longest).astype(int)
    return tokens, np.minimum(random.integers(0, 5, num_samples), tokens // 16)


def sums(packs: np.ndarray, sizes: np.ndarray, num_packs: int) -> np.ndarray:
    placed = packs >= 0
    return np.bincount(packs[placed], sizes[placed], minlength=num_packs)


@pytest.mark.parametrize("seed", range(8))
def test_packs_keep_both_budgets_and_leave_out_only_what_has_no_room(seed):
    tokens, tiles = draw(1500, seed)
    budget = PackBudget(4096, (8, 40)[seed % 2])
    groups = np.repeat([0, 1, 2], 500)
    packs = pack_groups(tokens, tiles, groups, 64, budget, COST)
    held_tokens, held_tiles = sums(packs, tokens, 192), sums(packs, tiles, 192)
    assert held_tokens.max() <= budget.max_tokens
    assert held_tiles.max() <= budget.max_tiles
    assert (packs[packs >= 0] // 64 == groups[packs >= 0]).all()
    # 500 samples of about 500 tokens and 2 tiles: too many for the tiles of 64 packs at 8 each, not at 40.
    assert (packs < 0).any() == (budget.max_tiles == 8)


@pytest.mark.parametrize("num_packs", [1, 2, 3, 7, 64])
def test_groups_do_not_mix_and_every_pack_gets_a_sample(num_packs):
    tokens, tiles = draw(64 * 6, seed=num_packs)
    groups = np.repeat(np.arange(6), 64)
    packs = pack_groups(tokens, tiles, groups, num_packs, PackBudget(200_000, 1000), COST)
    assert (packs // num_packs == groups).all()
    assert set(packs.tolist()) == set(range(6 * num_packs))


def test_one_sample_per_pack_always_fits():
    tokens = np.full(64, 100)
    packs = pack_groups(tokens, tokens * 0, np.zeros(64, int), 64, PackBudget(100, 1), COST)
    assert sorted(packs.tolist()) == list(range(64))


@pytest.mark.parametrize("model", ["tokens", "vision", "attention"])
def test_work_is_even_over_the_packs_of_a_group(model):
    cost = {
        "tokens": CostModel(1.0),
        "vision": COST,
        "attention": CostModel(per_token=1.0, per_square=1e-3),
    }[model]
    tokens, tiles = draw(1020)
    packs = pack_groups(tokens, tiles, np.zeros(1020, int), 64, PackBudget(8600, 60), cost)
    assert packs.min() >= 0
    work = sums(packs, cost.of(tokens, tiles), 64)
    assert work.max() / work.mean() < 1.02


@pytest.mark.parametrize("num_packs", [2, 8, 64, 192])
def test_work_and_tokens_are_even_at_once(num_packs):
    # As deep as 8 billion parameters, where neither size follows from the other.
    cost = CostModel(per_token=14.1e9, per_square=200_704, per_tile=0.75e12)
    tokens, tiles = draw(16 * num_packs * 4, seed=num_packs)
    groups = np.repeat(np.arange(4), 16 * num_packs)
    packs = pack_groups(tokens, tiles, groups, num_packs, PackBudget(16_384, 200), cost)
    assert packs.min() >= 0
    for sizes in (tokens, cost.of(tokens, tiles)):
        held = sums(packs, sizes, 4 * num_packs).reshape(4, -1)
        assert (held.max(axis=1) / held.mean(axis=1)).max() < 1.03


def test_one_long_sample_among_short_ones_has_a_pack_to_itself():
    tokens = np.array([2000, *[10] * 63])
    packs = pack_groups(tokens, tokens * 0, np.zeros(64, int), 4, PackBudget(2048, 1), CostModel(1.0, 1e-3))
    assert (packs == packs[0]).sum() == 1
    assert np.bincount(packs)[np.arange(4) != packs[0]].tolist() == [21, 21, 21]


def test_packs_are_a_function_of_the_samples():
    tokens, tiles = draw(600)
    groups = np.repeat([0, 1], 300)
    first = pack_groups(tokens, tiles, groups, 24, PackBudget(8192, 48), COST)
    assert np.array_equal(pack_groups(tokens, tiles, groups, 24, PackBudget(8192, 48), COST), first)
    small = tokens.astype(np.int16), tiles.astype(np.uint8)
    assert np.array_equal(pack_groups(*small, groups, 24, PackBudget(8192, 48), COST), first)


def test_a_scarce_budget_is_filled_whatever_the_cost_says():
    random = np.random.default_rng(1)
    tokens, tiles = random.integers(1, 20, 2000), random.integers(0, 8, 2000)
    num_packs = int(np.ceil(tiles.sum() / (48 * 0.99)))
    packs = pack_groups(tokens, tiles, np.zeros(2000, int), num_packs, PackBudget(8192, 48), CostModel(1.0))
    assert packs.min() >= 0


@pytest.mark.parametrize(
    ("tokens", "tiles", "message"),
    [
        ([1, 2, 9], [0, 0, 0], r"tokens\[2\]: expected 1 to 8 \(max_tokens\), got 9"),
        ([1, 0, 2], [0, 0, 0], r"tokens\[1\]: expected 1 to 8"),
        ([1, 2, 3], [0, 5, 0], r"tiles\[1\]: expected 0 to 4 \(max_tiles\), got 5"),
        ([1, 2, 3], [0, 1, -1], r"tiles\[2\]: expected 0 to 4"),
        ([1, 2], [0], "two integer arrays of one length"),
        ([1.0, 2.0], [0, 0], "two integer arrays"),
        ([], [], "at least one sample"),
    ],
)
def test_samples_that_cannot_be_packed_are_named(tokens, tiles, message):
    kind = np.float64 if 1.0 in tokens and isinstance(tokens[0], float) else np.int64
    with pytest.raises(InputError, match=message):
        PackBudget(8, 4).check(np.array(tokens, kind), np.array(tiles, np.int64))


@pytest.mark.parametrize("values", [(0, 1), (1, 0), (1 << 24, 1)])
def test_a_budget_is_positive_and_counts_exactly(values):
    with pytest.raises(InputError, match="expected 1 to 16777215"):
        PackBudget(*values)


def test_cost_is_the_sum_of_its_three_parts():
    cost = CostModel(per_token=2.0, per_square=0.5, per_tile=100.0)
    assert cost.of(np.array([10, 4]), np.array([0, 3])).tolist() == [70.0, 316.0]
    assert cost.units(np.array([10, 4]), np.array([0, 3])).tolist() == [560.0, 2528.0]


def test_cost_by_sizes_is_that_of_the_published_models():
    sizes = {"decoder_params": 0.494e9, "decoder_layers": 24, "decoder_width": 896}
    vision = {"vision_params": 0.302e9, "vision_layers": 24, "vision_width": 1024}
    cost = CostModel.from_sizes(**sizes, **vision)
    assert cost.per_token == pytest.approx(0.99e9, rel=0.01)
    assert cost.per_square == 2 * 24 * 896
    assert cost.per_tile == pytest.approx(0.72e12, rel=0.01)
    frozen = CostModel.from_sizes(**sizes, **vision, vision_frozen=True)
    assert frozen.per_tile == pytest.approx(cost.per_tile / 3, rel=0.01)
    assert frozen.per_token == cost.per_token


@pytest.mark.parametrize("parts", [(0.0, 0.0, 0.0), (1.0, -1.0, 0.0), (1.0, 0.0, -1.0), (float("nan"), 0.0, 0.0)])
def test_a_cost_without_tokens_or_below_nothing_is_refused(parts):
    with pytest.raises(InputError, match="per_token above 0"):
        CostModel(*parts)
