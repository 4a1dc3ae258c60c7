"""Refused rows in number, and entries with next to nothing: what stands in is found at once, and there is something."""

from __future__ import annotations

import time

import numpy as np
import pytest

from tests.tiny_mixture import mix, rows
from train.mixture import _find_next_gaps


@pytest.mark.parametrize("seed", range(200))
def test_the_next_gap_is_the_first_number_behind_that_is_not_there(seed):
    random = np.random.default_rng(seed)
    size = int(random.integers(2, 12))
    numbers = np.sort(random.choice(size, int(random.integers(1, size)), replace=False))
    for number, gap in zip(numbers.tolist(), _find_next_gaps(numbers, size).tolist(), strict=True):
        behind = [(number + step) % size for step in range(1, size)]
        assert gap == next(other for other in behind if other not in numbers)


@pytest.mark.parametrize("keys", [{}, {"subset": "random"}])
def test_a_lost_folder_of_many_pictures_is_passed_over_at_once(keys):
    size = 8000
    mixture = mix((rows(size, range(1000, size)), keys))
    draws = np.arange(size)
    begin = time.process_time()
    tokens, _ = mixture.measure(np.zeros(size, int), draws)
    assert time.process_time() - begin < 1  # the search from row to row took seconds here, and hours for a million
    assert (tokens > 0).all()
    assert mixture.find(0, 0)[0].row < 1000


def test_a_weighted_entry_of_less_than_a_row_gives_its_first_row():
    mixture = mix((rows(10), {"weight": 1, "repeat_time": 0.01}), (rows(30), {"weight": 1}))
    places, found, _ = mixture.locate(np.zeros(len(mixture), int), np.arange(len(mixture)))
    assert set(found[places == 0].tolist()) == {0}
    assert (places == 0).sum() == (places == 1).sum() == 15
