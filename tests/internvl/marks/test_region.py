"""Regions of instances, from everything that they can be made from."""

from __future__ import annotations

import numpy as np
import pytest

from internvl.errors import InputError
from internvl.marks.region import (
    EmptyRegionError,
    Region,
    from_box,
    from_mask,
    from_polygons,
    from_rle,
    read_region,
)


def spread(region: Region) -> np.ndarray:
    """The mask in its whole picture."""
    whole = np.zeros((region.height, region.width), bool)
    whole[region.top : region.bottom, region.left : region.right] = region.mask
    return whole


@pytest.fixture
def mask() -> np.ndarray:
    mask = np.zeros((20, 30), bool)
    mask[3:9, 4:11] = True
    mask[5, 6] = False
    mask[15, 28] = True
    return mask


@pytest.mark.parametrize("kind", [bool, np.uint8, np.int64])
def test_a_mask_is_cropped_to_what_it_has(mask, kind):
    region = from_mask(mask.astype(kind))
    assert (region.width, region.height) == (30, 20)
    assert (region.left, region.top, region.right, region.bottom) == (4, 3, 29, 16)
    assert np.array_equal(spread(region), mask)


def test_a_mask_may_change_afterwards(mask):
    region = from_mask(mask)
    before = spread(region)
    mask[:] = True
    assert np.array_equal(spread(region), before)


@pytest.mark.parametrize("wrong", [np.zeros((2, 2, 1), bool), np.zeros((2, 2)), [[1]], None])
def test_what_is_no_mask_is_refused(wrong):
    with pytest.raises(InputError, match=r"^mask: expected an array of rows of whole numbers or of bool, got .*; "):
        from_mask(wrong)


def test_runs_are_a_mask():
    assert spread(from_rle({"size": [2, 3], "counts": [1, 2, 3]})).tolist() == [[0, 1, 0], [1, 0, 0]]


def test_a_polygon_fills_the_pixels_between_its_corners():
    assert np.array_equal(
        spread(from_polygons([[2, 3, 12, 3, 12, 8, 2, 8]], 20, 10)), spread(from_box((2, 3, 10, 5), 20, 10))
    )


def test_polygons_are_joined_and_cut_at_the_picture():
    region = from_polygons([[-5, -5, 4, -5, 4, 4, -5, 4], [15, 5, 30, 5, 30, 30, 15, 30]], 20, 10)
    expected = np.zeros((10, 20), bool)
    expected[:4, :4] = expected[5:, 15:] = True
    assert np.array_equal(spread(region), expected)


@pytest.mark.filterwarnings("ignore:__array__:DeprecationWarning")  # inside of pycocotools
def test_polygons_are_those_of_pycocotools_up_to_their_edges():
    coco = pytest.importorskip("pycocotools.mask", reason="pycocotools, which polygons are compared with")
    angles = np.linspace(0, 2 * np.pi, 23)[:-1]
    reach = 40 + 25 * np.sin(3 * angles)
    polygon = np.stack((100.3 + reach * np.cos(angles), 80.7 + reach * np.sin(angles)), axis=1).ravel().tolist()
    ours = spread(from_polygons([polygon], 200, 160))
    theirs = coco.decode(coco.merge(coco.frPyObjects([polygon], 160, 200))).astype(bool)
    assert (ours & theirs).sum() / (ours | theirs).sum() > 0.97


@pytest.mark.parametrize(
    ("polygons", "problem"),
    [
        ([[1, 2, 3]], r"polygon: expected x and y of at least 3 points, got 3 values"),
        ([[1, 2, 3, 4, 5, 6, 7]], r"polygon: expected x and y of at least 3 points, got 7 values"),
        ([[1, 2, 3, 4]], r"polygon: expected x and y of at least 3 points, got 4 values"),
        ([[1, 2, 3, 4, 5, "6"]], r"polygon: expected x and y of at least 3 points, got 6 values"),
        ([[1, 2, 3, 4, 5, float("nan")]], r"polygon: expected x and y"),
        ([7], r"polygon: expected x and y of at least 3 points, got 7"),
    ],
)
def test_wrong_polygons_are_refused(polygons, problem):
    with pytest.raises(InputError, match=f"^{problem}"):
        from_polygons(polygons, 20, 10)


def test_a_box_covers_every_pixel_that_it_touches():
    region = from_box((1.5, 2.0, 3.0, 0.5), 20, 10)
    assert (region.left, region.top, region.right, region.bottom) == (1, 2, 5, 3)
    assert region.mask.all()


def test_a_box_that_rounding_moved_out_of_the_picture_is_cut():
    region = from_box((-0.6, 0, 21, 10.9), 20, 10)
    assert (region.left, region.top, region.right, region.bottom) == (0, 0, 20, 10)
    region = from_box((20, 9.9, 1, 1), 20, 10)
    assert (region.left, region.top, region.right, region.bottom) == (19, 9, 20, 10)


@pytest.mark.parametrize("box", [(-2, 0, 5, 5), (0, 0, 22, 5), (0, 8, 5, 5), (100, 100, 5, 5)])
def test_a_box_outside_of_the_picture_is_refused(box):
    with pytest.raises(
        InputError, match=r"^box: expected it within 20x10 pixels, got .*; find the picture of the box$"
    ):
        from_box(box, 20, 10)


@pytest.mark.parametrize("box", [(1, 2, 3), (1, 2, 3, "4"), (1, 2, 3, float("inf")), (True, 2, 3, 4)])
def test_what_is_no_box_is_refused(box):
    with pytest.raises(InputError, match=r"^box: expected the numbers x, y, width and height, got .*; correct it$"):
        from_box(box, 20, 10)


@pytest.mark.parametrize(
    "make",
    [
        lambda: from_mask(np.zeros((4, 4), bool)),
        lambda: from_rle({"size": [2, 2], "counts": "4"}),
        lambda: from_polygons([], 20, 10),
        lambda: from_polygons([[30, 30, 40, 30, 40, 40]], 20, 10),
        lambda: from_polygons([[-9, 2, -4, 2, -4, 8]], 20, 10),
        lambda: from_box((1, 1, 0, 5), 20, 10),
    ],
)
def test_an_instance_without_a_pixel_is_told_apart(make):
    with pytest.raises(EmptyRegionError, match=r"expected .*; leave the instance out$"):
        make()


@pytest.mark.parametrize(
    ("value", "left"),
    [({"size": [10, 20], "counts": [30, 170]}, 3), ([[2, 3, 12, 3, 12, 8]], 3), ([5, 3, 1, 2], 5)],
    ids=["runs", "polygons", "box"],
)
def test_annotations_say_by_their_form_what_they_are(value, left):
    region = read_region(value, 20, 10)
    assert (region.width, region.height, region.left) == (20, 10, left)


@pytest.mark.parametrize("value", [None, "4", 7, [1, 2, 3], [1, [2]]])
def test_annotations_of_other_forms_are_refused(value):
    with pytest.raises(InputError, match=r"^mask: expected runs, a list of polygons or a box of 4 numbers, got .*; "):
        read_region(value, 20, 10)


def test_a_region_follows_its_picture_to_another_size(mask):
    region = from_mask(mask)
    assert region.resize(30, 20) is region
    assert np.array_equal(spread(region.resize(60, 40)), mask.repeat(2, axis=0).repeat(2, axis=1))
    assert np.array_equal(spread(region.resize(60, 40).resize(30, 20)), mask)
    assert np.array_equal(spread(region.resize(15, 10)), mask[1::2, 1::2])


def test_what_is_small_does_not_vanish_in_a_smaller_picture():
    mask = np.zeros((2000, 3000), bool)
    mask[1003, 2001] = True
    small = from_mask(mask).resize(30, 20)
    assert (small.left, small.top, small.mask.tolist()) == (20, 10, [[True]])


def test_other_proportions_are_refused(mask):
    with pytest.raises(InputError, match=r"^region: expected a mask in the proportions .* of 60x60, got 30x20; "):
        from_mask(mask).resize(60, 60)


def test_a_polygon_too_thin_for_the_middle_of_a_pixel_has_one():
    region = from_polygons([[3.1, 4.1, 9.1, 4.1, 9.1, 4.2]], 20, 10)
    assert (region.left, region.top, region.mask.tolist()) == (3, 4, [[True]])


def test_a_polygon_that_crosses_itself_has_holes_and_two_that_overlap_have_none():
    bow = [2.0, 2, 10, 10, 10, 2, 2, 10]
    assert not spread(from_polygons([bow], 20, 12))[2:4, 5:7].any()
    assert spread(from_polygons([bow], 20, 12))[5:7, 2:5].all()
    square = [2.0, 2, 10, 2, 10, 10, 2, 10]
    assert spread(from_polygons([square, bow], 20, 12)).sum() == 64


def test_a_polygon_of_many_edges_in_one_row_keeps_its_parity():
    teeth = [value for number in range(513) for value in (5 + number / 10_000, 1.0 if number % 2 else 8.0)]
    mask = spread(from_polygons([[*teeth, 20, 8, 20, 0, 0, 0, 0, 8]], 30, 10))
    assert mask[:8, :20].all()
    assert mask.sum() == 160
