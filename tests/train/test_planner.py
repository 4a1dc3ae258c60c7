"""The plan of an epoch: every sample once, budgets kept, steps even, and length without a say in the order."""

from __future__ import annotations

import numpy as np
import pytest

from internvl.errors import InputError
from train.packing import CostModel, PackBudget
from train.plan import Plan
from train.planner import make_fingerprint, plan_epoch

COST = CostModel(per_token=14.1e9, per_square=200_704, per_tile=0.75e12)
BUDGET = PackBudget(8192, 48)


def draw(num_samples: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    tokens = np.clip(np.rint(random.lognormal(np.log(350), 0.885, num_samples)), 48, 2048).astype(int)
    drawn = random.random(num_samples)
    tiles = np.where(drawn < 0.1, 0, np.where(drawn < 0.7, 1, random.integers(2, 8, num_samples)))
    return tokens, np.minimum(tiles, tokens // 256)


def check(plan: Plan, tokens: np.ndarray, tiles: np.ndarray, budget: PackBudget, packs_per_step: int) -> None:
    """Every sample once, both budgets kept, whole steps, and no empty pack that could have been filled."""
    assert np.array_equal(np.sort(plan.samples), np.arange(len(tokens)))
    for index in range(len(plan)):
        packs = plan.step(index)
        assert len(packs) == packs_per_step
        assert max(tokens[pack].sum() for pack in packs) <= budget.max_tokens
        assert max(tiles[pack].sum() for pack in packs) <= budget.max_tiles
        sizes = [len(pack) for pack in packs]
        assert min(sizes) > 0 or max(sizes) == 1
    assert sum(len(pack) for index in range(len(plan)) for pack in plan.step(index)) == len(tokens)


def by_step(plan: Plan, sizes: np.ndarray) -> np.ndarray:
    """The sum of every pack, a row per step."""
    return np.add.reduceat(sizes[plan.samples], plan.offsets[:-1]).reshape(len(plan), -1)


ADVERSARIAL = {
    "all equal": (np.full(3000, 500), np.full(3000, 1)),
    "all at the cap": (np.full(200, 8192), np.full(200, 1)),
    "all just above half": (np.full(700, 4500), np.zeros(700, int)),
    "large and small": (np.tile([8192, 1], 500), np.zeros(1000, int)),
    "thirds that do not fit": (np.tile([5000, 2800, 500], 300), np.tile([0, 2, 5], 300)),
    "one sample": (np.array([7]), np.array([0])),
    "fewer samples than packs": (np.arange(1, 6), np.zeros(5, int)),
    "one more than the packs": (np.full(17, 8000), np.full(17, 2)),
    "bound by tiles": (np.full(2000, 60), np.arange(2000) % 13),
    "all tiles at the cap": (np.full(100, 60), np.full(100, 48)),
    "text alone": (draw(3000)[0], np.zeros(3000, int)),
    "small numbers": (draw(3000)[0].astype(np.uint16), np.ones(3000, np.uint8)),
}


@pytest.mark.parametrize("name", ADVERSARIAL)
@pytest.mark.parametrize(("packs_per_step", "window"), [(1, 1), (16, 8192), (16, 100)])
def test_every_sample_is_packed_once_within_the_budgets(name, packs_per_step, window):
    tokens, tiles = ADVERSARIAL[name]
    plan = plan_epoch(tokens, tiles, BUDGET, packs_per_step, COST, window=window)
    check(plan, tokens, tiles, BUDGET, packs_per_step)


@pytest.mark.parametrize("packs_per_step", [1, 3, 8, 64, 100])
@pytest.mark.parametrize("num_samples", [1000, 4001, 9000])
def test_ordinary_samples_are_packed_once_for_any_size_of_step(num_samples, packs_per_step):
    tokens, tiles = draw(num_samples, seed=packs_per_step)
    check(plan_epoch(tokens, tiles, BUDGET, packs_per_step, COST, window=256), tokens, tiles, BUDGET, packs_per_step)


def test_sizes_that_do_not_fill_a_pack_do_not_multiply_steps():
    tokens = np.full(20_000, 4500)  # one per pack, though two would nearly fit
    plan = plan_epoch(tokens, tokens * 0, BUDGET, 16, COST, window=512)
    assert len(plan) == 20_000 // 16


def test_work_and_tokens_are_even_and_packs_are_full():
    tokens, tiles = draw(40_000)
    plan = plan_epoch(tokens, tiles, BUDGET, 64, COST)
    work, held = by_step(plan, COST.of(tokens, tiles)), by_step(plan, tokens)
    assert (work.max(axis=1) / work.mean(axis=1)).max() < 1.03
    assert held.mean(axis=1).sum() / held.max(axis=1).sum() > 0.98
    assert held[:-2].mean() / BUDGET.max_tokens > 0.99


@pytest.mark.parametrize("packs_per_step", [1, 8])
def test_small_steps_are_full_too(packs_per_step):
    tokens, tiles = draw(20_000)
    held = by_step(plan_epoch(tokens, tiles, BUDGET, packs_per_step, COST), tokens)
    assert held[: -256 // packs_per_step].mean() / BUDGET.max_tokens > 0.99


@pytest.mark.parametrize("packs_per_step", [1, 64])
def test_the_last_steps_share_what_is_left(packs_per_step):
    for num_samples in (6000, 6300, 6600, 6900):
        tokens, tiles = draw(num_samples)
        held = by_step(plan_epoch(tokens, tiles, BUDGET, packs_per_step, COST), tokens).sum(axis=1)
        assert held[-1] > 0.45 * held[0]


@pytest.mark.parametrize("packs_per_step", [8, 64])
def test_length_says_nothing_about_the_place_in_the_epoch(packs_per_step):
    # Sorted data: what is not shuffled would show.
    tokens, tiles = (np.sort(sizes) for sizes in draw(60_000))
    plan = plan_epoch(tokens, tiles, BUDGET, packs_per_step, COST, window=512)
    step_of = np.repeat(np.arange(len(plan)), np.diff(plan.offsets[::packs_per_step]))
    for sizes in (tokens, tiles):
        # Five standard errors of a correlation that is none.
        assert abs(np.corrcoef(step_of, sizes[plan.samples])[0, 1]) < 5 / np.sqrt(len(tokens))
        means = by_step(plan, sizes).sum(axis=1) / np.diff(plan.offsets[::packs_per_step])
        in_step = len(tokens) / len(plan)
        apart = (means - sizes.mean()) / (sizes.std() / np.sqrt(in_step))
        assert abs(apart.mean()) < 0.2
        assert apart.std() < 1.3  # as for steps drawn at random: 1


def test_packs_of_a_step_are_in_no_order_of_size():
    tokens, tiles = draw(40_000)
    plan = plan_epoch(tokens, tiles, BUDGET, 64, COST)
    longest = np.maximum.reduceat(tokens[plan.samples], plan.offsets[:-1]).reshape(len(plan), 64)
    places = np.tile(np.arange(64), (len(plan), 1))
    assert abs(np.corrcoef(places.ravel(), longest.ravel())[0, 1]) < 5 / np.sqrt(longest.size)


def test_a_plan_is_a_function_of_its_arguments():
    tokens, tiles = draw(5000)

    def make(**options: int) -> Plan:
        return plan_epoch(tokens, tiles, BUDGET, 8, COST, **options)

    one, again = make(seed=3, epoch=1), make(seed=3, epoch=1)
    assert np.array_equal(one.samples, again.samples)
    assert np.array_equal(one.offsets, again.offsets)
    assert one.fingerprint == again.fingerprint
    for other in (make(seed=4, epoch=1), make(seed=3, epoch=2), make(seed=1, epoch=3)):
        assert not np.array_equal(one.samples, other.samples)
        assert one.fingerprint != other.fingerprint


def test_the_shuffle_does_not_change_between_versions():
    plan = plan_epoch(np.arange(1, 13), np.zeros(12, int), PackBudget(12, 1), 2, CostModel(1.0), seed=5)
    packs = [pack.tolist() for index in range(len(plan)) for pack in plan.step(index)]
    assert packs == [[9], [4, 3], [5, 2], [6, 1], [10], [8], [7, 0], [11]]


def test_a_fingerprint_tells_apart_all_that_a_plan_is_made_from():
    tokens, tiles = draw(100)
    changed = tokens.copy()
    changed[17] += 1
    prints = {
        make_fingerprint(tokens, tiles, BUDGET, 8, COST),
        make_fingerprint(changed, tiles, BUDGET, 8, COST),
        make_fingerprint(tokens, tiles + 1, BUDGET, 8, COST),
        make_fingerprint(tokens, tiles, PackBudget(4096, 48), 8, COST),
        make_fingerprint(tokens, tiles, BUDGET, 4, COST),
        make_fingerprint(tokens, tiles, BUDGET, 8, CostModel(1.0)),
        make_fingerprint(tokens, tiles, BUDGET, 8, COST, seed=1),
        make_fingerprint(tokens, tiles, BUDGET, 8, COST, epoch=1),
        make_fingerprint(tokens, tiles, BUDGET, 8, COST, window=1),
    }
    assert len(prints) == 9
    assert make_fingerprint(tokens.astype(np.int16), tiles, BUDGET, 8, COST) in prints


@pytest.mark.parametrize(("name", "options"), [("packs_per_step", (0, 10)), ("window", (1, 0))])
def test_sizes_below_one_are_refused(name, options):
    with pytest.raises(InputError, match=f"{name}: expected at least 1, got 0"):
        plan_epoch(np.ones(3, int), np.zeros(3, int), BUDGET, options[0], COST, window=options[1])


def test_a_sample_above_a_budget_is_named():
    with pytest.raises(ValueError, match=r"tokens\[1\]: expected 1 to 8192"):
        plan_epoch(np.array([5, 9000]), np.zeros(2, int), BUDGET, 1, COST)
