"""The plan of a run: budgets kept, few forward passes, even work, and no say in which samples a step has."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil
from random import Random

import numpy as np
import pytest

import train.planner
from internvl.errors import InputError
from train.order import RunOrder
from train.packing import CostModel, PackBudget
from train.plan import Plan
from train.planner import Measure, Packing, Padding, make_fingerprint, plan_run

COST = CostModel.from_sizes(
    decoder_params=7.08e9,
    decoder_layers=28,
    decoder_width=3584,
    vision_params=0.302e9,
    vision_layers=24,
    vision_width=1024,
)
BUDGET = PackBudget(8192, 48)
PACKS = Packing(BUDGET, COST)


def draw(num_samples: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """The length law of the benchmarks."""
    random = np.random.default_rng(seed)
    tokens = np.clip(np.rint(random.lognormal(np.log(350), 0.885, num_samples)), 48, 2048).astype(int)
    drawn = random.random(num_samples)
    tiles = np.where(drawn < 0.1, 0, np.where(drawn < 0.7, 1, random.integers(2, 8, num_samples)))
    return tokens, np.minimum(tiles, tokens // 256)


def measure_in_order(tokens: np.ndarray, tiles: np.ndarray | None = None) -> Measure:
    """The samples one behind the other, again and again."""
    pictures = np.zeros(len(tokens), int) if tiles is None else tiles
    return lambda positions: (tokens[positions % len(tokens)], pictures[positions % len(tokens)])


def check(plan: Plan, measure: Measure, budget: PackBudget) -> None:
    """The samples of its own for every step, both budgets kept, no empty pack."""
    assert (np.sort(plan.places, axis=1) == np.arange(plan.batch_size)).all()
    assert (plan.sizes.sum(axis=1) == plan.batch_size).all()
    assert plan.sizes.min() > 0
    tokens, tiles = by_pack(plan, measure)
    assert tokens.max() <= budget.max_tokens
    assert tiles.max() <= budget.max_tiles


def by_pack(plan: Plan, measure: Measure) -> list[np.ndarray]:
    """Tokens and tiles of every pack, a row per step."""
    packs = [pack for index in range(len(plan)) for pack in plan.step(index)]
    sums = np.array([[part.sum() for part in measure(np.array(pack))] for pack in packs])
    return [part.reshape(len(plan), -1) for part in sums.T]


def work_of(plan: Plan, measure: Measure) -> np.ndarray:
    packs = [np.array(pack) for index in range(len(plan)) for pack in plan.step(index)]
    return np.array([COST.of(*measure(pack)).sum() for pack in packs]).reshape(len(plan), -1)


ADVERSARIAL = {
    "all equal": (np.full(2048, 500), np.full(2048, 1)),
    "all at the cap": (np.full(128, 8192), np.full(128, 1)),
    "all just above half": (np.full(512, 4500), np.zeros(512, int)),
    "large and small": (np.tile([8192, 1], 256), np.zeros(512, int)),
    "thirds that do not fit": (np.tile([5000, 2800, 500], 128), np.tile([0, 2, 5], 128)),
    "bound by tiles": (np.full(1024, 60), np.arange(1024) % 13),
    "all tiles at the cap": (np.full(128, 60), np.full(128, 48)),
    "text alone": (draw(1024)[0], np.zeros(1024, int)),
    "small numbers": (draw(1024)[0].astype(np.uint16), np.ones(1024, np.uint8)),
    "sorted": tuple(np.sort(sizes) for sizes in draw(1024)),
    "one giant step": (np.repeat([10, 8000], [960, 64]), np.repeat([0, 40], [960, 64])),
}


@pytest.mark.parametrize("name", ADVERSARIAL)
@pytest.mark.parametrize(("batch_size", "world"), [(1, 1), (64, 1), (64, 16), (64, 64), (128, 8)])
def test_every_sample_is_packed_within_the_budgets(name, batch_size, world):
    measure = measure_in_order(*ADVERSARIAL[name])
    plan = plan_run(measure, len(ADVERSARIAL[name][0]) // batch_size // 2 or 1, batch_size, world, PACKS)
    assert plan.num_batches % world == 0
    check(plan, measure, BUDGET)


@pytest.mark.parametrize("together", [1, 200, 1 << 20])
def test_steps_may_be_planned_together_or_one_by_one(together, monkeypatch):
    monkeypatch.setattr(train.planner, "_CHUNK_SAMPLES", together)
    measure = measure_in_order(*draw(2000))
    for how in (PACKS, Padding(8, by_length=True)):
        check(plan_run(measure, 15, 128, 4, how), measure, PackBudget(1 << 20, 1 << 20))


@pytest.mark.parametrize("case", range(30))
def test_equal_samples_take_the_fewest_passes_that_hold_them(case):
    random = Random(case)
    size, batch_size = random.randint(1, 40), random.randint(1, 20) * 12
    by_tiles = random.random() < 0.3
    budget = PackBudget(*(random.randint(size, 400), 10_000)[:: -1 if by_tiles else 1])
    sizes = np.full(batch_size, size), np.zeros(batch_size, int)
    measure = measure_in_order(*(sizes if not by_tiles else (sizes[1] + 1, sizes[0])))
    per_pack = (budget.max_tiles if by_tiles else budget.max_tokens) // size
    world = random.choice([divisor for divisor in range(1, 7) if batch_size % divisor == 0])
    plan = plan_run(measure, 3, batch_size, world, Packing(budget, CostModel(1.0)))
    assert plan.num_batches == world * ceil(batch_size / (per_pack * world))
    check(plan, measure, budget)


@pytest.mark.parametrize("world", [1, 2, 8])
def test_samples_above_half_of_the_budget_take_a_pack_each_and_the_others_what_is_left(world):
    # 24 of 600 tokens, each with one of 400, in a step of 48.
    plan = plan_run(measure_in_order(np.tile([600, 400], 24)), 2, 48, world, Packing(PackBudget(1000, 1), COST))
    assert plan.num_batches == 24
    assert (plan.sizes == 2).all()


@pytest.mark.parametrize("world", [16, 64])
def test_ordinary_samples_take_the_fewest_passes_that_their_tokens_ask_for(world):
    tokens, tiles = draw(16 * 1024)
    measure = measure_in_order(tokens, tiles)
    plan = plan_run(measure, 16, 1024, world, PACKS)
    fullest = tokens.reshape(16, -1).sum(axis=1).max()
    # One pass fewer would not hold the tokens of the fullest step.
    assert (plan.num_batches - world) * BUDGET.max_tokens < fullest <= plan.num_batches * BUDGET.max_tokens


def test_one_step_that_needs_more_passes_than_the_fullest_ones_decides():
    full, large = np.full((64, 8), 50), np.array([[51] * 7 + [1]])
    measure = measure_in_order(np.concatenate([full, large, full]).ravel())
    plan = plan_run(measure, 129, 8, 1, Packing(PackBudget(100, 1), CostModel(1.0)))
    assert plan.num_batches == 7
    check(plan, measure, PackBudget(100, 1))


def figures(law: tuple[np.ndarray, np.ndarray], batch_size: int, num_steps: int) -> tuple[np.ndarray, float]:
    """Work of the slowest of 64 devices over the mean one, per forward pass, and the share of tokens not waited for."""
    order = RunOrder(len(law[0]), seed=1)

    def measure(positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        draws = order.locate(positions)[1]
        return law[0][draws], law[1][draws]

    plan = plan_run(measure, num_steps, batch_size, 64, PACKS)
    work, held = work_of(plan, measure).reshape(-1, 64), by_pack(plan, measure)[0].reshape(-1, 64)
    return work.max(axis=1) / work.mean(axis=1), held.sum() / (held.max(axis=1).sum() * 64)


def test_work_and_tokens_are_even_over_64_devices():
    over, share = figures(draw(16_384), 1024, 16)
    assert over.mean() < 1.03
    assert over.max() < 1.06
    assert share > 0.97


@pytest.mark.parametrize(("batch_size", "mean", "share"), [(512, 1.06, 0.95), (2048, 1.02, 0.98)])
def test_smaller_and_larger_steps_are_even_too(batch_size, mean, share):
    over, found = figures(draw(16_384, seed=1), batch_size, 8192 // batch_size)
    assert over.mean() < mean
    assert found > share


def test_costly_packs_go_through_the_devices_at_the_same_time():
    measure = measure_in_order(*draw(4096))
    work = work_of(plan_run(measure, 4, 1024, 8, PACKS), measure)
    assert work.shape[1] > 8
    assert (np.diff(work, axis=1) <= 1e-4 * work.mean()).all()  # up to the rounding of units


def test_samples_keep_the_order_of_the_run_within_a_pack():
    plan = plan_run(measure_in_order(*draw(512)), 4, 128, 4, PACKS)
    packs = [pack for index in range(4) for pack in plan.step(index)]
    assert all(pack == sorted(pack) for pack in packs)
    assert any(len(pack) > 3 for pack in packs)


def test_padded_batches_are_the_order_of_the_run():
    plan = plan_run(measure_in_order(*draw(96)), 4, 24, 3, Padding(4))
    assert [batch for index in range(4) for batch in plan.step(index)] == [
        list(range(begin, begin + 4)) for begin in range(0, 96, 4)
    ]


def test_padding_by_length_puts_samples_of_like_length_together():
    tokens = draw(96)[0]
    plan = plan_run(measure_in_order(tokens), 4, 24, 3, Padding(4, by_length=True))
    check(plan, measure_in_order(tokens), PackBudget(1 << 20, 1))
    for index in range(4):
        lengths = [tokens[position] for batch in plan.step(index) for position in batch]
        assert lengths == sorted(lengths, reverse=True)
    same = plan_run(measure_in_order(np.full(24, 9)), 1, 24, 3, Padding(4, by_length=True))
    assert same.step(0) == [list(range(begin, begin + 4)) for begin in range(0, 24, 4)]


@pytest.mark.parametrize(("batch_size", "kind"), [((1 << 16) - 4, np.uint16), (1 << 16, np.uint32)])
def test_places_of_large_steps_have_room(batch_size, kind):
    for by_length in (False, True):
        plan = plan_run(measure_in_order(np.array([3, 1, 2])), 1, batch_size, 1, Padding(4, by_length=by_length))
        assert plan.places.dtype == plan.sizes.dtype == kind
        assert sorted(place for batch in plan.step(0) for place in batch) == list(range(batch_size))


@pytest.mark.parametrize(
    ("batch_size", "rows", "world", "use"),
    [(12, 4, 2, "8 or 16"), (5, 4, 2, "8"), (31, 1, 10, "30 or 40"), (7, 8, 1, "8")],
)
def test_a_step_that_padded_batches_do_not_share_evenly_is_refused_with_the_nearest_that_they_do(
    batch_size, rows, world, use
):
    message = f"batch_size: expected a multiple of {rows} per device x {world} devices, got {batch_size}; use {use}"
    for by_length in (False, True):
        with pytest.raises(InputError, match=f"^{message}$"):
            plan_run(measure_in_order(np.ones(3, int)), 1, batch_size, world, Padding(rows, by_length=by_length))


def test_a_step_with_fewer_samples_than_devices_is_refused():
    with pytest.raises(
        InputError,
        match="batch_size: expected at least one sample per device, got 7 for 8 devices; raise it to 8 or use fewer",
    ):
        plan_run(measure_in_order(np.ones(3, int)), 1, 7, 8, PACKS)


def test_a_step_that_devices_cannot_share_evenly_has_packs_without_a_sample():
    plan = plan_run(measure_in_order(np.full(10, 8192)), 1, 10, 4, PACKS)
    assert sorted(map(len, plan.step(0))) == [0, 0, *[1] * 10]


def test_a_sample_above_a_budget_is_named():
    for lengths in ([5, 9000], [5] * 3000 + [9000]):  # not only where the fullest steps are tried
        with pytest.raises(InputError, match=r"tokens\[\d+\]: expected 1 to 8192 \(max_tokens\), got 9000"):
            plan_run(measure_in_order(np.array(lengths)), len(lengths), 1, 1, PACKS)


def test_a_plan_is_a_function_of_its_arguments():
    measure = measure_in_order(*draw(1000))
    for how in (PACKS, Padding(4), Padding(4, by_length=True)):
        one, again = plan_run(measure, 4, 96, 8, how), plan_run(measure, 4, 96, 8, how)
        assert np.array_equal(one.places, again.places)
        assert np.array_equal(one.sizes, again.sizes)
        assert one.fingerprint == again.fingerprint == make_fingerprint(measure, 4, 96, 8, how)


def test_a_fingerprint_tells_apart_all_that_a_plan_is_made_from(monkeypatch):
    tokens, tiles = draw(2000)

    def change(place: int, of: int = 0) -> Measure:
        sizes = [tokens.copy(), tiles.copy()]
        sizes[of][place] += 1
        return measure_in_order(*sizes)

    def make(
        measure: Measure = measure_in_order(tokens, tiles),  # noqa: B008
        num_steps: int = 20,
        batch_size: int = 96,
        world: int = 8,
        how: Packing | Padding = PACKS,
    ) -> str:
        return make_fingerprint(measure, num_steps, batch_size, world, how)

    changes: list[Callable[[], str]] = [
        make,
        lambda: make(num_steps=21),
        lambda: make(batch_size=48),
        lambda: make(world=4),
        lambda: make(how=Packing(PackBudget(8191, 48), COST)),
        lambda: make(how=Packing(PackBudget(8192, 47), COST)),
        lambda: make(how=Packing(BUDGET, CostModel(1.0))),
        lambda: make(how=Padding(4)),
        lambda: make(how=Padding(2)),
        lambda: make(how=Padding(4, by_length=True)),
        lambda: make(change(0)),
        lambda: make(change(20 * 96 - 1)),
        lambda: make(change(5, of=1)),
    ]
    assert len({one() for one in changes}) == len(changes)
    assert make(measure_in_order(tokens.astype(np.int16), tiles.astype(np.uint8))) == make()
    before = make()
    monkeypatch.setattr(train.planner, "VERSION", 99)
    assert make() != before


@pytest.mark.parametrize("num_steps", [1, 2, 5, 9])
def test_short_runs_have_fingerprints_too(num_steps):
    prints = {make_fingerprint(measure_in_order(draw(200, seed)[0]), num_steps, 8, 2, PACKS) for seed in range(3)}
    assert len(prints) == 3
