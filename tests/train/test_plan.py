"""Plans on disk, and the sequence of samples: the same for any ranks, after any stop, however batches are made."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from internvl.errors import InputError, MissingError
from train.order import RunOrder
from train.packing import CostModel, PackBudget
from train.plan import BatchSampler, Plan
from train.planner import Measure, Packing, Padding, plan_run

COST = CostModel(1.0, 1e-3, 20.0)


@cache
def make_plan(case: int) -> Plan:
    """Runs of different lengths, of twelve batches a step."""
    random = np.random.default_rng(case)
    tokens, tiles = random.integers(1, 50, (5 + case) * 24), random.integers(0, 3, (5 + case) * 24)
    plan = plan_run(lambda places: (tokens[places], tiles[places]), 5 + case, 24, 12, Packing(PackBudget(140, 8), COST))
    assert plan.num_batches == 12
    return plan


def take(plan: Plan, world: int, start: int = 0) -> list[list[list[int]]]:
    """The batches of the steps from a step on, as the ranks see them together."""
    ranks = [list(BatchSampler(plan, rank=rank, world=world, start=start)) for rank in range(world)]
    share, over = divmod(plan.num_batches, world)
    assert over == 0
    assert {len(batches) for batches in ranks} == {(len(plan) - start) * share}
    return [
        [batch for rank in ranks for batch in rank[step * share : (step + 1) * share]]
        for step in range(len(plan) - start)
    ]


class Run:
    """A run with random data, and random ways to share its steps out."""

    def __init__(self, case: int) -> None:
        self.random = Random(case)
        numbers = np.random.default_rng(case)
        self.batch_size = self.random.choice([1, 2, 6, 7, 12, 24, 30, 36, 48])
        self.num_steps = self.random.randint(1, 12)
        self.order = RunOrder(self.random.randint(10, 300), seed=case)
        self.tokens = numbers.integers(1, self.random.randint(2, 300), self.order.num_draws)
        self.tiles = numbers.integers(0, self.random.randint(1, 9), self.order.num_draws)

    def measure(self, positions: Any) -> tuple[Any, Any]:
        draws = self.order.locate(positions)[1]
        return self.tokens[draws], self.tiles[draws]

    def draw_world(self) -> tuple[int, Packing | Padding]:
        if self.random.random() < 0.4:
            together = self.random.choice([size for size in range(1, 49) if self.batch_size % size == 0])
            rows = self.random.choice([size for size in range(1, together + 1) if together % size == 0])
            return together // rows, Padding(rows, by_length=self.random.random() < 0.5)
        world = self.random.randint(1, self.batch_size)
        # Two of any samples share a pack where there are not enough packs for one each.
        least = 2 if self.batch_size % world else 1
        sizes = [max(1, least * int(size.max())) + self.random.randint(0, 400) for size in (self.tokens, self.tiles)]
        return world, Packing(PackBudget(*sizes), COST)

    def check(self, start: int) -> list[list[list[int]]]:
        """Steps from one on, with a new choice of everything that may change."""
        world, how = self.draw_world()
        plan = plan_run(self.measure, self.num_steps, self.batch_size, world, how)
        steps = take(plan, world, start)
        assert len(steps) == self.num_steps - start
        for step, batches in enumerate(steps, start):
            together = sorted(position for batch in batches for position in batch)
            assert together == list(range(step * self.batch_size, (step + 1) * self.batch_size))
            assert min(len(batch) for batch in batches) > 0
            for batch in batches:
                tokens, tiles = self.measure(np.array(batch))
                if isinstance(how, Padding):
                    assert len(batch) == how.rows
                else:
                    assert tokens.sum() <= how.budget.max_tokens
                    assert tiles.sum() <= how.budget.max_tiles
        return steps


@pytest.mark.parametrize("case", range(240))
def test_any_ranks_after_any_stop_take_exactly_the_next_samples_at_every_step(case):
    run = Run(case)
    stop, again = sorted(run.random.randint(0, run.num_steps) for _ in range(2))
    parts = run.check(0)[:stop], run.check(stop)[: again - stop], run.check(again)
    positions = [position for part in parts for step in part for batch in step for position in batch]
    assert sorted(positions) == list(range(run.num_steps * run.batch_size))
    # And so every draw once per epoch.
    epochs, draws = run.order.locate(positions)
    assert len(set(zip(epochs.tolist(), draws.tolist(), strict=True))) == len(positions)
    whole = len(positions) // run.order.num_draws
    assert np.isin(np.arange(whole * run.order.num_draws), epochs * run.order.num_draws + draws).all()


@pytest.mark.parametrize("world", [1, 2, 3, 4, 6, 12])
def test_batches_go_to_the_ranks_in_turn(world):
    plan = make_plan(0)
    ranks = [list(BatchSampler(plan, rank=rank, world=world)) for rank in range(world)]
    dealt = [batch for passes in zip(*ranks, strict=True) for batch in passes]
    assert dealt == [batch for index in range(len(plan)) for batch in plan.step(index)]


def test_the_length_counts_the_batches_of_the_whole_run():
    sampler = BatchSampler(make_plan(3), rank=1, world=4, start=5)
    assert sampler.accumulation == 3
    assert len(sampler) == 8 * 3
    assert len(list(sampler)) == 3 * 3
    assert list(sampler) == list(sampler)


@pytest.mark.parametrize("start", [5, 9])
def test_nothing_is_left_after_the_last_step(start):
    assert list(BatchSampler(make_plan(0), start=start)) == []


@pytest.mark.parametrize(("world", "rank"), [(5, 0), (24, 0), (4, 4), (4, -1)])
def test_ranks_that_do_not_share_a_step_evenly_are_refused(world, rank):
    with pytest.raises(
        InputError,
        match=f"^world: expected a divisor of the 12 batches per step and a rank below it, got {world} and rank {rank};"
        " plan for this number of devices$",
    ):
        BatchSampler(make_plan(0), rank=rank, world=world)


def test_a_plan_knows_its_sizes():
    plan = make_plan(2)
    assert (len(plan), plan.batch_size, plan.num_batches) == (7, 24, 12)


def test_a_step_outside_of_the_run_is_refused():
    plan = make_plan(0)
    for index in (-1, len(plan)):
        with pytest.raises(IndexError, match=rf"step: expected 0 to 4, got {index}; the run has no other"):
            plan.step(index)


def test_positions_of_late_steps_are_whole_numbers_of_any_size():
    places = np.broadcast_to(np.arange(2, dtype=np.uint16), (1 << 20, 2))
    plan = Plan(places, np.broadcast_to(np.uint16(1), (1 << 20, 2)), "")
    assert plan.step((1 << 20) - 1) == [[(1 << 21) - 2], [(1 << 21) - 1]]


def name_files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_written_plan_is_the_same_when_it_is_opened(tmp_path):
    plan = make_plan(0)
    plan.save(tmp_path / "new" / "plan")
    opened = Plan.open(tmp_path / "new" / "plan", plan.fingerprint)
    assert isinstance(opened.places, np.memmap)
    assert isinstance(opened.sizes, np.memmap)
    assert opened.fingerprint == plan.fingerprint
    assert [opened.step(index) for index in range(len(opened))] == [plan.step(index) for index in range(len(plan))]
    assert name_files(tmp_path / "new" / "plan") == ["places.npy", "plan.json", "sizes.npy"]


def test_a_plan_of_padded_batches_is_written_whole(tmp_path):
    plan = plan_run(lambda places: (places + 1, places * 0), 3, 8, 2, Padding(2))
    plan.save(tmp_path)
    assert [Plan.open(tmp_path, plan.fingerprint).step(index) for index in range(3)] == [
        [[8 * step + place, 8 * step + place + 1] for place in (0, 2, 4, 6)] for step in range(3)
    ]


def test_a_plan_is_written_over_another_one(tmp_path):
    make_plan(0).save(tmp_path)
    former = Plan.open(tmp_path, make_plan(0).fingerprint)
    make_plan(1).save(tmp_path)
    assert len(Plan.open(tmp_path, make_plan(1).fingerprint)) == len(make_plan(1))
    # Who reads the former one still has it.
    assert np.array_equal(former.places, make_plan(0).places)
    assert name_files(tmp_path) == ["places.npy", "plan.json", "sizes.npy"]


def test_a_stale_plan_is_none_of_this(tmp_path):
    make_plan(0).save(tmp_path)
    with pytest.raises(MissingError, match=r"expected the plan \w{12} .* got \w{12}; make it anew with plan_run"):
        Plan.open(tmp_path, make_plan(1).fingerprint)


def test_a_plan_of_another_version_is_none_of_this(tmp_path):
    plan = make_plan(0)
    plan.save(tmp_path)
    head = (tmp_path / "plan.json").read_text()
    (tmp_path / "plan.json").write_text(head.replace('"version": 2', '"version": 1'))
    with pytest.raises(MissingError, match="make it anew with plan_run"):
        Plan.open(tmp_path, plan.fingerprint)


def test_a_missing_plan_is_named(tmp_path):
    with pytest.raises(MissingError, match=rf"^plan: expected a finished one in {tmp_path}/none, got none; make it"):
        Plan.open(tmp_path / "none", "")


@pytest.mark.parametrize("name", ["places.npy", "sizes.npy", "plan.json"])
@pytest.mark.parametrize("kept", [0, 20, -2])
def test_a_truncated_file_is_refused(tmp_path, name, kept):
    plan = make_plan(0)
    plan.save(tmp_path)
    whole = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(whole[:kept])
    with pytest.raises(InputError, match=r"expected a whole plan, got .*; delete the folder and the plan is made anew"):
        Plan.open(tmp_path, plan.fingerprint)


@pytest.mark.parametrize("text", ["[]", "3", "{}", '{"version": 2}'])
def test_a_head_that_is_no_head_is_refused(tmp_path, text):
    make_plan(0).save(tmp_path)
    (tmp_path / "plan.json").write_text(text)
    with pytest.raises(InputError, match="expected a whole plan"):
        Plan.open(tmp_path, make_plan(0).fingerprint)


def test_a_lost_file_is_named(tmp_path):
    make_plan(0).save(tmp_path)
    (tmp_path / "sizes.npy").unlink()
    with pytest.raises(InputError, match=r"expected a whole plan, got .*sizes\.npy"):
        Plan.open(tmp_path, make_plan(0).fingerprint)


@pytest.mark.parametrize("name", ["places.npy", "sizes.npy"])
def test_files_of_two_plans_are_refused(tmp_path, name):
    make_plan(0).save(tmp_path / "one")
    make_plan(1).save(tmp_path / "two")
    (tmp_path / "two" / name).replace(tmp_path / "one" / name)
    with pytest.raises(InputError, match="expected a whole plan"):
        Plan.open(tmp_path / "one", make_plan(0).fingerprint)


@pytest.mark.parametrize("writes", [0, 1])
def test_a_plan_whose_writing_was_cut_short_is_none(tmp_path, monkeypatch, writes):
    make_plan(0).save(tmp_path)
    original, left = np.save, iter(range(writes))

    def stop(*given: Any) -> None:
        if next(left, None) is None:
            raise KeyboardInterrupt
        original(*given)

    with monkeypatch.context() as patch:
        patch.setattr(np, "save", stop)
        with pytest.raises(KeyboardInterrupt):
            make_plan(1).save(tmp_path)
    for case in (0, 1):
        with pytest.raises(MissingError, match="expected a finished one"):
            Plan.open(tmp_path, make_plan(case).fingerprint)
    make_plan(1).save(tmp_path)
    assert len(Plan.open(tmp_path, make_plan(1).fingerprint)) == 6


def test_a_plan_read_while_another_is_written_is_the_former_or_none(tmp_path, monkeypatch):
    make_plan(0).save(tmp_path)
    original = Path.replace
    seen: list[str] = []

    def look(path: Path, target: Path) -> Path:
        for case in (0, 1):
            with pytest.raises(InputError):
                Plan.open(tmp_path, make_plan(case).fingerprint)
        seen.append(target.name)
        return original(path, target)

    monkeypatch.setattr(Path, "replace", look)
    make_plan(1).save(tmp_path)
    assert seen == ["places.npy", "sizes.npy", "plan.json"]
    assert len(Plan.open(tmp_path, make_plan(1).fingerprint)) == 6


def test_measure_is_asked_for_positions_of_the_run_alone():
    asked: list[Any] = []

    def measure(positions: Any) -> tuple[Any, Any]:
        asked.append(positions)
        return positions % 5 + 1, positions * 0

    spy: Measure = measure
    for how in (Padding(2), Padding(2, by_length=True), Packing(PackBudget(100, 1), COST)):
        plan_run(spy, 3, 8, 2, how)
    assert 0 <= min(part.min() for part in asked) <= max(part.max() for part in asked) < 24
