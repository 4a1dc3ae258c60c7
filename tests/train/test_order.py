"""The order of samples: computed permutations that look drawn at random, the same ones for ever."""

from __future__ import annotations

import numpy as np
import pytest

from train.order import RunOrder, Shuffle, derive_seed, mix


def permute(size: int, seed: int) -> np.ndarray:
    return Shuffle(size, seed)(np.arange(size))


def correlate(one: np.ndarray, two: np.ndarray) -> float:
    """A correlation in standard errors of one that is none."""
    return float(abs(np.corrcoef(one, two)[0, 1]) * np.sqrt(len(one)))


@pytest.mark.parametrize("seed", [0, 1, (1 << 64) - 1])
def test_a_shuffle_of_any_size_is_a_permutation_and_find_its_inverse(seed):
    for size in range(1, 201):
        numbers = permute(size, seed)
        assert np.array_equal(np.sort(numbers), np.arange(size)), size
        assert np.array_equal(Shuffle(size, seed).find(numbers), np.arange(size)), size


@pytest.mark.parametrize("size", [4095, 4096, 4097, 65_537, 1_000_003])
def test_large_shuffles_are_permutations(size):
    numbers = permute(size, 5)
    assert np.array_equal(np.bincount(numbers, minlength=size), np.ones(size))
    assert np.array_equal(Shuffle(size, 5).find(numbers), np.arange(size))


@pytest.mark.parametrize("size", [(1 << 31) + 11, 10**12, (1 << 62) + 1])
def test_shuffles_that_no_memory_holds_are_computed_place_by_place(size):
    shuffle, places = Shuffle(size, 3), np.array([0, 1, 2, size // 2, size - 1])
    numbers = shuffle(places)
    assert len(set(numbers.tolist())) == 5
    assert 0 <= numbers.min() <= numbers.max() < size
    assert shuffle.find(numbers).tolist() == places.tolist()


@pytest.mark.parametrize("size", [7, 1000, 70_000])
def test_any_part_is_the_same_part_of_the_whole(size):
    whole = permute(size, 9)
    random = np.random.default_rng(size)
    parts = [slice(begin, begin + size // 3 + 1) for begin in random.integers(0, size, 5)]
    for part in (*parts, slice(None, None, -1), slice(None, None, 3), random.integers(0, size, 50), [], [size - 1]):
        assert np.array_equal(Shuffle(size, 9)(np.arange(size)[part]), whole[part])


def test_places_of_any_integer_type_are_taken_and_left_as_they_are():
    places = np.arange(100, dtype=np.int32)
    assert Shuffle(100, 1)(places).tolist() == permute(100, 1).tolist()
    assert Shuffle(100, 1)(np.arange(100, dtype=np.uint64)).tolist() == permute(100, 1).tolist()
    assert places.tolist() == list(range(100))
    assert Shuffle(100, 1)(places).dtype == np.int64


@pytest.mark.parametrize("size", [5, 24, 64])
def test_every_number_is_at_every_place_equally_often_over_the_seeds(size):
    num_seeds, places = 2000, np.arange(size)
    counts = np.zeros((size, size))
    for seed in range(num_seeds):
        counts[permute(size, seed), places] += 1
    expected = num_seeds / size
    freedom = (size - 1) ** 2
    chi_square = ((counts - expected) ** 2 / expected).sum()
    assert abs(chi_square - freedom) < 5 * np.sqrt(2 * freedom)


def test_numbers_say_nothing_about_their_places_or_their_neighbours():
    for size in (1 << 16, 100_000):
        numbers = permute(size, 11)
        assert correlate(numbers, np.arange(size)) < 5
        for distance in (1, 2, 3, 64, 256, 1000):
            assert correlate(numbers[distance:], numbers[:-distance]) < 5
        # A tenth of the run has its share of every tenth of the data.
        shares = np.histogram2d(numbers, np.arange(size), bins=10)[0]
        assert abs(shares - size / 100).max() < 5 * np.sqrt(size / 100)


def test_as_many_numbers_stay_in_place_or_beside_each_other_as_by_chance():
    fixed = [(permute(500, seed) == np.arange(500)).sum() for seed in range(400)]
    beside = [(np.diff(permute(500, seed)) == 1).sum() for seed in range(400)]
    # Both are 1 on average, with a variance of 1.
    for counts in (fixed, beside):
        assert abs(np.mean(counts) - 1) < 5 / np.sqrt(400)
        assert abs(np.var(counts) - 1) < 0.5


def test_seeds_that_lie_side_by_side_give_unrelated_permutations():
    for seed in (0, 1, 1 << 40):
        one, two = permute(50_000, seed), permute(50_000, seed + 1)
        assert correlate(one, two) < 5
        assert (one == two).sum() < 8


def test_the_order_never_changes_between_versions():
    assert permute(10, 0).tolist() == [8, 2, 6, 1, 3, 4, 9, 7, 5, 0]
    assert permute(13, 7).tolist() == [12, 0, 7, 10, 9, 11, 8, 2, 6, 5, 1, 4, 3]
    assert Shuffle(1000, 42)(np.arange(5)).tolist() == [913, 382, 812, 533, 747]
    assert Shuffle(10**10, 1)(np.array([0, 1, 10**10 - 1])).tolist() == [4525802168, 527209657, 211863878]
    assert [part.tolist() for part in RunOrder(6, seed=3).locate(np.arange(13))] == [
        [0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 2],
        [4, 1, 0, 2, 5, 3, 1, 4, 2, 3, 5, 0, 3],
    ]


def test_derived_seeds_never_change_between_versions():
    numbers = np.array([0, 1, (1 << 64) - 1], np.uint64)
    assert mix(numbers).tolist() == [0, 6238072747940578789, 13029008266876403067]
    assert derive_seed(0) == 16294208416658607535
    assert derive_seed(1, 2, 3) == 7702586659592502839
    assert derive_seed(-1, 1 << 63) == 17866137399852670886


def test_derived_seeds_depend_on_every_part_and_on_their_order():
    parts = [(), (0,), (1,), (0, 0), (0, 1), (1, 0), (1, 1), (0, 0, 0), (2, 0), (-1,), (1 << 40,)]
    assert len({derive_seed(*part) for part in parts}) == len(parts)
    assert derive_seed(5, 6) == derive_seed(5, 6)
    grid = {derive_seed(one, two) for one in range(100) for two in range(100)}
    assert len(grid) == 10_000
    # All bits change with any part.
    changed = [derive_seed(3, number) ^ derive_seed(3, number + 1) for number in range(500)]
    share = sum(bits.bit_count() for bits in changed) / (64 * len(changed))
    assert abs(share - 0.5) < 0.02


@pytest.mark.parametrize("num_draws", [1, 2, 50, 777])
def test_every_epoch_takes_every_draw_once_in_an_order_of_its_own(num_draws):
    epochs, draws = RunOrder(num_draws, seed=3).locate(np.arange(5 * num_draws))
    assert epochs.tolist() == np.repeat(np.arange(5), num_draws).tolist()
    passes = draws.reshape(5, num_draws)
    assert (np.sort(passes, axis=1) == np.arange(num_draws)).all()
    assert len({tuple(one) for one in passes.tolist()}) == (5 if num_draws > 2 else min(num_draws, 2))


def test_epochs_are_unrelated():
    passes = RunOrder(20_000, seed=1).locate(np.arange(60_000))[1].reshape(3, -1)
    for one, two in ((0, 1), (0, 2), (1, 2)):
        assert correlate(passes[one], passes[two]) < 5
        assert (passes[one] == passes[two]).sum() < 8


def test_a_position_is_located_the_same_alone_and_among_others():
    order, random = RunOrder(30, seed=8), np.random.default_rng(0)
    positions = random.integers(0, 300, 100)
    epochs, draws = order.locate(positions)
    for position, epoch, draw in zip(positions, epochs, draws, strict=True):
        assert [part.tolist() for part in order.locate(np.array([position]))] == [[epoch], [draw]]
    assert [part.tolist() for part in order.locate([])] == [[], []]


def test_the_order_is_a_function_of_the_seed():
    positions = np.arange(100)
    first = RunOrder(50, seed=3).locate(positions)[1].tolist()
    assert RunOrder(50, seed=3).locate(positions)[1].tolist() == first
    other = RunOrder(50, seed=4).locate(positions)[1].tolist()
    # Nor is the second epoch of one seed the first of the next.
    assert len({tuple(part) for part in (first[:50], first[50:], other[:50], other[50:])}) == 4
