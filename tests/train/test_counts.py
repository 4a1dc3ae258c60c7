"""Counts: sums that add up in any order, and go through tensors without a loss."""

from __future__ import annotations

from dataclasses import fields
from random import Random

import torch

from train.counts import Counts

NUMBERS = Counts(weight=0.1, samples=2, tokens=3, tiles=4, learned=5, cut=6, bad=7, found=8, squares=9, slots=10)


def test_counts_are_the_same_behind_a_tensor():
    tensor = NUMBERS.to_tensor()
    assert tensor.tolist() == [0.1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
    assert tensor.dtype == torch.float64
    assert Counts.from_tensor(tensor) == NUMBERS


def test_every_count_has_a_place_of_its_own():
    for place, field in enumerate(fields(Counts)):
        tensor = Counts(**{field.name: 1}).to_tensor()
        assert tensor.nonzero().tolist() == [[place]]


def test_no_counts_add_up_to_nothing():
    assert Counts.from_tensor(Counts.add([])) == Counts()
    assert len(Counts.add([])) == len(fields(Counts))


def test_a_sum_is_that_of_every_count():
    total = Counts.from_tensor(Counts.add([NUMBERS.to_tensor(), NUMBERS.to_tensor(), Counts(tokens=10).to_tensor()]))
    assert (total.tokens, total.samples, total.found) == (16, 4, 16)
    assert Counts.from_tensor(Counts.add([NUMBERS.to_tensor()])) == NUMBERS


def test_large_whole_numbers_are_exact_in_any_order():
    parts = [Counts(tokens=(1 << 50) + number, samples=number).to_tensor() for number in range(7)]
    expected = Counts(tokens=7 * (1 << 50) + 21, samples=21)
    for seed in range(5):
        Random(seed).shuffle(parts)
        assert Counts.from_tensor(Counts.add(parts)) == expected
        # Sums of sums, as over ranks.
        assert Counts.from_tensor(Counts.add([Counts.add(parts[:3]), Counts.add(parts[3:])])) == expected
