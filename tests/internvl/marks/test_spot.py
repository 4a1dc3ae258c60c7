"""Where numbers go."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from internvl.marks.region import Region, from_box, from_mask
from internvl.marks.spot import Label, place_labels

WIDTH, HEIGHT = 320, 240
ROWS, COLUMNS = np.mgrid[:HEIGHT, :WIDTH]
SIZE = (14, 18)


def disc(x: float, y: float, radius: float) -> np.ndarray:
    return np.hypot(COLUMNS - x, ROWS - y) < radius


SHAPES = {
    "disc": disc(160, 120, 60),
    "ring": disc(160, 120, 100) & ~disc(160, 120, 70),
    "thin ring": disc(160, 120, 100) & ~disc(160, 120, 97),
    "moon": disc(160, 120, 100) & ~disc(190, 120, 90),
    "angle": ((COLUMNS < 40) | (ROWS > 200)) & (COLUMNS > 5) & (ROWS < 235),
    "two parts": disc(60, 60, 30) | disc(250, 180, 50),
    "many parts": (COLUMNS % 40 < 25) & (ROWS % 60 < 40),
    "line": np.abs(COLUMNS - 2 * ROWS) < 2,
    "grid of points": (COLUMNS % 9 == 0) & (ROWS % 9 == 0),
    "everything": np.ones((HEIGHT, WIDTH), bool),
    "corner": disc(0, 0, 80),
    "dumbbell": disc(60, 120, 50) | disc(260, 120, 50) | ((np.abs(ROWS - 120) < 2) & (COLUMNS > 60) & (COLUMNS < 260)),
}


def place(regions: dict[int, Region], size: tuple[int, int] = SIZE) -> dict[int, Label]:
    labels = place_labels(regions, dict.fromkeys(regions, size))
    assert set(labels) == set(regions)
    for label in labels.values():
        left, top, right, bottom = label.box
        assert (right - left, bottom - top) == size
        assert 0 <= left < right <= WIDTH
        assert 0 <= top < bottom <= HEIGHT
    return labels


def count_overlaps(labels: dict[int, Label]) -> int:
    return sum(
        one.box[0] < other.box[2]
        and other.box[0] < one.box[2]
        and one.box[1] < other.box[3]
        and other.box[1] < one.box[3]
        for one, other in combinations(labels.values(), 2)
    )


def measure_depths(mask: np.ndarray) -> np.ndarray:
    """How far every pixel is from the edge, from step to step: each step takes the outermost pixels away."""
    depths = np.zeros(mask.shape, int)
    inside = np.pad(mask, 1)
    while inside.any():
        depths += inside[1:-1, 1:-1]
        inside[1:-1, 1:-1] &= inside[:-2, 1:-1] & inside[2:, 1:-1] & inside[1:-1, :-2] & inside[1:-1, 2:]
    return depths


@pytest.mark.parametrize("name", SHAPES)
def test_the_number_is_inside_and_far_from_the_edge(name):
    mask = SHAPES[name]
    label = place({1: from_mask(mask)})[1]
    x, y = label.anchor
    assert mask[y, x]
    assert not label.is_beside
    depths = measure_depths(mask)
    assert depths[y, x] >= 0.6 * depths.max() - 3
    left, top, right, bottom = label.box
    assert left <= x < right
    assert top <= y < bottom
    if depths.max() > 25:
        assert mask[top:bottom, left:right].all()


def test_of_all_places_that_are_deep_it_is_the_middle_one():
    bar = (COLUMNS > 20) & (COLUMNS < 300) & (np.abs(ROWS - 100) < 20)
    x, y = place({1: from_mask(bar)})[1].anchor
    assert abs(x - 160) < 6
    assert abs(y - 100) < 6


def test_the_number_avoids_smaller_instances_in_front():
    person, field = disc(160, 120, 50), np.ones((HEIGHT, WIDTH), bool)
    labels = place({1: from_mask(field), 2: from_mask(person)})
    x, y = labels[1].anchor
    assert not person[y, x]
    left, top, right, bottom = labels[1].box
    assert not person[top:bottom, left:right].any()
    assert count_overlaps(labels) == 0


def test_what_smaller_ones_hide_wholly_has_its_number_too():
    half = WIDTH // 2
    boxes = {1: (0, 0, WIDTH, HEIGHT), 2: (0, 0, half, HEIGHT), 3: (half, 0, half, HEIGHT)}
    labels = place({number: from_box(box, WIDTH, HEIGHT) for number, box in boxes.items()})
    assert count_overlaps(labels) == 0


def test_an_instance_that_its_number_would_hide_has_it_beside():
    small = disc(160, 120, 6)
    label = place({1: from_mask(small)})[1]
    left, top, right, bottom = label.box
    assert label.is_beside
    assert not small[top:bottom, left:right].any()
    assert small[label.anchor[1], label.anchor[0]]
    assert min(abs(top - 126), abs(115 - bottom), abs(left - 166), abs(154 - right)) < 6


@pytest.mark.parametrize("place_of", [(0, 0), (319, 239), (0, 120), (160, 239)])
def test_beside_is_inside_of_the_picture(place_of):
    small = disc(*place_of, 5)
    left, top, right, bottom = place({1: from_mask(small)})[1].box
    assert not small[top:bottom, left:right].any()


def test_numbers_beside_spare_other_small_instances():
    small = {number: disc(160 + 24 * column, 120, 8) for number, column in enumerate((-1, 0, 1), 1)}
    labels = place({number: from_mask(mask) for number, mask in small.items()})
    for label in labels.values():
        left, top, right, bottom = label.box
        assert not any(mask[top:bottom, left:right].any() for mask in small.values())
    assert count_overlaps(labels) == 0


def test_a_number_beside_stands_where_no_instance_is_if_it_can():
    small, large = disc(160, 120, 6), (ROWS > 127) & (ROWS < 220)
    left, top, right, bottom = place({1: from_mask(small), 2: from_mask(large)})[1].box
    assert not (small | large)[top:bottom, left:right].any()


def crowd(number: int, reach: float) -> dict[int, Region]:
    random = np.random.default_rng(number)
    return {
        index: from_mask(disc(random.uniform(0, WIDTH), random.uniform(0, HEIGHT), random.uniform(3, reach)))
        for index in range(1, number + 1)
    }


@pytest.mark.parametrize("reach", [12, 40])
def test_forty_numbers_do_not_overlap(reach):
    assert count_overlaps(place(crowd(40, reach))) == 0


def test_instances_in_the_same_place_have_numbers_next_to_each_other():
    labels = place({number: from_box((150, 110, 20, 20), WIDTH, HEIGHT) for number in range(1, 13)})
    assert count_overlaps(labels) == 0


def test_more_numbers_than_there_is_room_for_are_all_there():
    labels = place(crowd(60, 20), (60, 40))
    assert count_overlaps(labels) > 0


def test_the_order_changes_nothing():
    regions = crowd(40, 30)
    labels = place(regions)
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(list(regions)).tolist()
        assert place({number: regions[number] for number in order}) == labels


def test_places_do_not_change():
    regions = {number: from_mask(SHAPES[name]) for number, name in enumerate(("ring", "two parts", "corner"), 1)}
    boxes = {number: label.box for number, label in place(regions).items()}
    assert boxes == {1: (108, 42, 122, 60), 2: (231, 169, 245, 187), 3: (26, 24, 40, 42)}


def test_nothing_has_no_numbers():
    assert place_labels({}, {}) == {}


def test_a_picture_of_one_pixel_has_room_for_a_point():
    labels = place_labels({3: from_box((0, 0, 1, 1), 1, 1)}, {3: (1, 1)})
    assert labels[3].box == (0, 0, 1, 1)
