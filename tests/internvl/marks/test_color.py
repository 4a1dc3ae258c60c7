"""Colours of marks."""

from __future__ import annotations

from itertools import combinations

from internvl.marks.color import choose_color


def distance(one: int, other: int) -> float:
    return sum((a - b) ** 2 for a, b in zip(choose_color(one), choose_color(other), strict=True)) ** 0.5


def test_neighbours_in_number_are_far_apart():
    assert min(distance(number, number + step) for number in range(60) for step in (1, 2, 3, 4)) > 85


def test_36_numbers_have_colours_of_their_own_and_then_they_come_again():
    assert min(distance(*pair) for pair in combinations(range(36), 2)) > 60
    assert [choose_color(number) for number in range(36, 72)] == [choose_color(number) for number in range(36)]


def test_colours_do_not_change():
    assert [choose_color(number) for number in (1, 2, 3, 14, 30)] == [
        (38, 255, 147),
        (255, 38, 255),
        (147, 255, 38),
        (255, 128, 255),
        (0, 140, 140),
    ]
