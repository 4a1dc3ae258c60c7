"""The order of samples: every run order is a cut through one sequence, however it is shared out or interrupted."""

from __future__ import annotations

from random import Random

import pytest

from train.order import RunOrder


def sequence(num_samples: int, num_positions: int, seed: int) -> list[int]:
    """The samples in the order of a single rank that takes one at a time."""
    return [batch[0] for batch in RunOrder(num_samples, num_positions, 1, 1, seed=seed)]


def steps_of(order: RunOrder) -> list[list[int]]:
    """The samples of one rank, a list per optimiser step."""
    samples = [sample for batch in order for sample in batch]
    share = order.batch_size // order.world
    return [samples[begin : begin + share] for begin in range(0, len(samples), share)]


@pytest.mark.parametrize("case", range(100))
def test_all_ranks_together_take_the_next_samples_of_the_sequence_at_every_step(case):
    random = Random(case)
    world, per_device, passes = random.randint(1, 4), random.randint(1, 3), random.randint(1, 3)
    batch_size = world * per_device * passes
    num_samples, num_steps = random.randint(1, 40), random.randint(1, 12)
    start = random.randint(0, num_steps)
    expected = sequence(num_samples, num_steps * batch_size, seed=case)
    ranks = [
        RunOrder(num_samples, num_steps, batch_size, per_device, rank=rank, world=world, seed=case, start=start)
        for rank in range(world)
    ]
    shares = [steps_of(order) for order in ranks]
    assert [len(share) for share in shares] == [num_steps - start] * world
    for step in range(start, num_steps):
        together = [sample for share in shares for sample in share[step - start]]
        assert sorted(together) == sorted(expected[step * batch_size : (step + 1) * batch_size])
    assert all(len(batch) == per_device for order in ranks for batch in order)


@pytest.mark.parametrize("start", range(6))
def test_a_run_that_goes_on_with_other_devices_takes_exactly_the_rest(start):
    before = steps_of(RunOrder(10, start, 12, 3, rank=0, world=1, seed=7))
    after = [steps_of(RunOrder(10, 5, 12, 2, rank=rank, world=3, seed=7, start=start)) for rank in range(3)]
    taken = [sorted(step) for step in before] + [
        sorted(sample for share in shares for sample in share) for shares in zip(*after, strict=True)
    ]
    everything = sequence(10, 60, seed=7)
    assert taken[:5] == [sorted(everything[begin : begin + 12]) for begin in range(0, 60, 12)]


def test_every_pass_over_the_data_is_a_new_permutation():
    samples = sequence(50, 200, seed=3)
    passes = [samples[begin : begin + 50] for begin in range(0, 200, 50)]
    assert all(sorted(one) == list(range(50)) for one in passes)
    assert len({tuple(one) for one in passes}) == 4


def test_the_order_is_a_function_of_the_seed():
    assert sequence(50, 50, seed=3) == sequence(50, 50, seed=3)
    assert sequence(50, 50, seed=3) != sequence(50, 50, seed=4)
    # The second pass of one seed is not the first of the next.
    assert sequence(50, 100, seed=3)[50:] != sequence(50, 50, seed=4)


def test_the_length_counts_the_forward_passes_of_the_whole_run():
    assert len(RunOrder(10, 5, 12, 2, rank=1, world=3)) == 5 * 2
    assert len(RunOrder(10, 5, 12, 2, rank=1, world=3, start=4)) == 5 * 2
    assert len(list(RunOrder(10, 5, 12, 2, rank=1, world=3, start=4))) == 2


def test_nothing_is_left_after_the_last_step():
    assert list(RunOrder(10, 5, 12, 2, start=5)) == []
    assert list(RunOrder(10, 5, 12, 2, start=9)) == []


def test_fewer_samples_than_a_batch_are_taken_again():
    (step,) = steps_of(RunOrder(3, 1, 8, 8))
    assert len(step) == 8
    assert sorted(step[:3]) == sorted(step[3:6]) == [0, 1, 2]
