"""Choices by names: the same everywhere, fair over many names, and frames spread evenly with both ends."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest

from train.inst_it.choice import choose, draw, happens, shuffle, spread_evenly


def test_a_choice_depends_on_nothing_but_its_names():
    # A literal: rows of a published mixture must be the same in years.
    assert draw(0, "image-7", "img_caption", 0) == 3050648010252850363
    assert draw("a", "b") != draw("ab", "")
    assert draw(1, "a") != draw(2, "a")


def test_choices_are_fair():
    counts = Counter(choose("abcde", 0, f"image-{k}", "img_caption", 0) for k in range(5000))
    assert set(counts) == set("abcde")
    assert all(850 < count < 1150 for count in counts.values())


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 1.0])
def test_a_share_is_kept(share):
    hits = sum(happens(share, k) for k in range(4000))
    assert hits == pytest.approx(4000 * share, abs=110)
    if share in (0.0, 1.0):
        assert hits == 4000 * share


def test_an_order_has_everything_once():
    orders = {tuple(shuffle(range(6), seed)) for seed in range(40)}
    assert len(orders) > 30
    assert all(sorted(order) == list(range(6)) for order in orders)
    assert shuffle(["a", "a", {}], 1)


@pytest.mark.parametrize(
    ("total", "most", "expected"),
    [(3, 16, [0, 1, 2]), (16, 16, list(range(16))), (20, 2, [0, 19]), (9, 3, [0, 4, 8]), (5, 4, [0, 1, 3, 4])],
)
def test_frames_are_spread_evenly(total, most, expected):
    assert spread_evenly(total, most) == expected


def test_no_spread_takes_a_frame_twice():
    for total in range(1, 60):
        for most in range(2, 40):
            places = spread_evenly(total, most)
            assert places[0] == 0
            assert places[-1] == total - 1
            assert len(set(places)) == len(places) == min(total, most)
            gaps = [after - before for before, after in pairwise(places)]
            assert not gaps or max(gaps) - min(gaps) <= 1
