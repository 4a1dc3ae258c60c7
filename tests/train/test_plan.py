"""Plans on disk, and the order of packs that they give to any number of ranks."""

from __future__ import annotations

from functools import cache
from random import Random

import numpy as np
import pytest

from internvl.errors import InputError, MissingError
from train.packing import CostModel, PackBudget
from train.plan import PackOrder, Plan, Position
from train.planner import plan_epoch

PACKS_PER_STEP = 12
WORLDS = (1, 2, 3, 4, 6, 12)


@cache
def make_plan(epoch: int) -> Plan:
    """Epochs of different lengths."""
    random = np.random.default_rng(epoch)
    count = 400 + 150 * epoch
    tokens, tiles = random.integers(1, 60, count), random.integers(0, 3, count)
    return plan_epoch(tokens, tiles, PackBudget(100, 8), PACKS_PER_STEP, CostModel(1.0), seed=1, epoch=epoch)


def list_steps(num_steps: int) -> list[list[list[int]]]:
    """The packs of all steps of a run, straight from the plans."""
    steps: list[list[list[int]]] = []
    epoch = 0
    while len(steps) < num_steps:
        plan = make_plan(epoch)
        steps += [[pack.tolist() for pack in plan.step(index)] for index in range(len(plan))]
        epoch += 1
    return steps[:num_steps]


def gather(num_steps: int, world: int, start: Position) -> list[list[list[int]]]:
    """The packs of the steps from a position on, as `world` ranks see them."""
    share = PACKS_PER_STEP // world
    ranks = [list(PackOrder(make_plan, num_steps, rank=rank, world=world, start=start)) for rank in range(world)]
    assert {len(packs) for packs in ranks} == {(num_steps - start.done) * share}
    return [
        [ranks[place % world][step * share + place // world] for place in range(PACKS_PER_STEP)]
        for step in range(num_steps - start.done)
    ]


def locate(done: int) -> Position:
    return PackOrder(make_plan, 60).locate(done)


@pytest.mark.parametrize("case", range(60))
def test_any_ranks_after_any_stop_take_exactly_the_rest(case):
    random = Random(case)
    num_steps = random.randint(1, 60)
    stop, again = sorted(random.randint(0, num_steps) for _ in range(2))
    expected = list_steps(num_steps)
    first = PackOrder(make_plan, num_steps, world=random.choice(WORLDS))
    one = first.locate(stop)
    second = PackOrder(make_plan, num_steps, world=random.choice(WORLDS), start=one)
    two = second.locate(again)
    assert two == first.locate(again)
    assert gather(num_steps, random.choice(WORLDS), Position()) == expected
    assert gather(num_steps, random.choice(WORLDS), one) == expected[stop:]
    assert gather(num_steps, random.choice(WORLDS), two) == expected[again:]


def test_runs_of_the_tests_cross_epochs():
    lengths = [len(make_plan(epoch)) for epoch in range(3)]
    assert len(set(lengths)) == 3
    assert sum(lengths) < 60


@pytest.mark.parametrize("world", WORLDS)
def test_every_sample_of_an_epoch_goes_to_one_rank(world):
    steps = len(make_plan(0))
    ranks = [PackOrder(make_plan, steps, rank=rank, world=world) for rank in range(world)]
    taken = [sample for order in ranks for pack in order for sample in pack]
    assert sorted(taken) == list(range(400))


def test_going_on_opens_no_plan_but_those_that_are_left():
    opened: list[int] = []

    def open_plan(epoch: int) -> Plan:
        opened.append(epoch)
        return make_plan(epoch)

    length = len(make_plan(3))
    order = PackOrder(open_plan, 100 + length, start=Position(done=100, epoch=3, step=1))
    assert len(list(order)) == length * PACKS_PER_STEP
    assert opened == [3, 4]
    # At the end of an epoch the next one is not made yet: the run may be over.
    opened.clear()
    assert order.locate(100 + length - 1) == Position(100 + length - 1, 3, length)
    assert opened == []


def test_the_length_counts_the_packs_of_the_whole_run():
    order = PackOrder(make_plan, 20, rank=1, world=4, start=locate(15))
    assert len(order) == 20 * 3
    assert len(list(order)) == 5 * 3


def test_nothing_is_left_after_the_last_step():
    assert list(PackOrder(make_plan, 5, start=locate(5))) == []


@pytest.mark.parametrize(("world", "rank"), [(5, 0), (24, 0), (4, 4), (4, -1)])
def test_ranks_that_do_not_share_a_step_evenly_are_refused(world, rank):
    with pytest.raises(InputError, match="expected a divisor of the 12 packs per step"):
        PackOrder(make_plan, 5, rank=rank, world=world)


def test_a_position_before_the_start_is_refused():
    with pytest.raises(InputError, match="expected at least 7"):
        PackOrder(make_plan, 20, start=locate(7)).locate(6)


def test_a_step_outside_of_the_epoch_is_refused():
    plan = make_plan(0)
    for index in (-1, len(plan)):
        with pytest.raises(IndexError, match=f"got {index}"):
            plan.step(index)


def test_a_written_plan_is_the_same_when_it_is_opened(tmp_path):
    plan = make_plan(0)
    plan.save(tmp_path / "plan")
    opened = Plan.open(tmp_path / "plan", plan.fingerprint)
    assert isinstance(opened.samples, np.memmap)
    assert len(opened) == len(plan)
    for index in range(len(plan)):
        for one, two in zip(opened.step(index), plan.step(index), strict=True):
            assert np.array_equal(one, two)
    assert sorted(path.name for path in (tmp_path / "plan").iterdir()) == ["offsets.npy", "plan.json", "samples.npy"]


def test_a_plan_is_written_over_another_one(tmp_path):
    make_plan(0).save(tmp_path)
    former = Plan.open(tmp_path, make_plan(0).fingerprint)
    make_plan(1).save(tmp_path)
    assert len(Plan.open(tmp_path, make_plan(1).fingerprint)) == len(make_plan(1))
    # Who reads the former one still has it.
    assert np.array_equal(former.samples, make_plan(0).samples)


def test_a_stale_plan_is_refused(tmp_path):
    make_plan(0).save(tmp_path)
    with pytest.raises(InputError, match=r"expected the plan .* got .*delete the folder"):
        Plan.open(tmp_path, make_plan(1).fingerprint)


def test_a_missing_plan_is_named(tmp_path):
    with pytest.raises(MissingError, match="expected a finished one"):
        Plan.open(tmp_path / "none", "")


@pytest.mark.parametrize("name", ["samples.npy", "offsets.npy", "plan.json"])
@pytest.mark.parametrize("kept", [0, 20, -2])
def test_a_truncated_file_is_refused(tmp_path, name, kept):
    plan = make_plan(0)
    plan.save(tmp_path)
    whole = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(whole[:kept])
    with pytest.raises(InputError, match="expected a whole plan"):
        Plan.open(tmp_path, plan.fingerprint)


def test_files_of_two_plans_are_refused(tmp_path):
    make_plan(0).save(tmp_path / "one")
    make_plan(1).save(tmp_path / "two")
    (tmp_path / "two" / "samples.npy").replace(tmp_path / "one" / "samples.npy")
    with pytest.raises(InputError, match="expected a whole plan"):
        Plan.open(tmp_path / "one", make_plan(0).fingerprint)


def test_a_plan_whose_writing_was_cut_short_is_none(tmp_path, monkeypatch):
    make_plan(0).save(tmp_path)

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "save", stop)
    with pytest.raises(KeyboardInterrupt):
        make_plan(1).save(tmp_path)
    for epoch in (0, 1):
        with pytest.raises(MissingError):
            Plan.open(tmp_path, make_plan(epoch).fingerprint)
