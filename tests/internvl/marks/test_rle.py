"""Masks as runs in the format of COCO."""

from __future__ import annotations

import numpy as np
import pytest

from internvl.errors import InputError
from internvl.marks.rle import decode, unpack


def draw_masks() -> list[np.ndarray]:
    random = np.random.default_rng(0)
    rows, columns = np.mgrid[:400, :300]
    return [
        np.hypot(columns - 100, rows - 250) < 99,
        np.abs(np.hypot(columns - 150, rows - 200) - 90) < 2,
        random.random((37, 53)) < 0.5,
        random.random((1, 70)) < 0.1,
        np.ones((5, 4), bool),
        np.zeros((5, 4), bool),
        (rows * columns) % 7 == 0,
    ]


def count_runs(mask: np.ndarray) -> list[int]:
    """The runs of a mask, counted pixel by pixel."""
    runs, value = [0], False
    for pixel in mask.T.ravel().tolist():
        if pixel != value:
            runs.append(0)
            value = pixel
        runs[-1] += 1
    return runs


@pytest.mark.parametrize(
    ("mask", "text"),
    [
        ([[0, 1], [1, 1]], "13"),
        ([[1, 1, 0], [1, 0, 0]], "033"),
        ([[0, 0], [0, 0]], "4"),
    ],
)
def test_packed_texts_of_coco_are_read(mask, text):
    size = [len(mask), len(mask[0])]
    for counts in (text, text.encode(), count_runs(np.array(mask, bool))):
        assert decode({"size": size, "counts": counts}).tolist() == np.array(mask, bool).tolist()


@pytest.mark.parametrize("number", range(7))
def test_runs_of_numbers_are_read(number):
    mask = draw_masks()[number]
    read = decode({"size": list(mask.shape), "counts": count_runs(mask)})
    assert np.array_equal(read, mask)


@pytest.mark.parametrize("number", range(7))
def test_packed_runs_are_those_of_pycocotools(number):
    coco = pytest.importorskip("pycocotools.mask", reason="pycocotools, which the packed runs are compared with")
    mask = draw_masks()[number]
    packed = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
    assert unpack(packed["counts"]).tolist() == count_runs(mask)
    assert np.array_equal(decode(packed), mask)
    assert np.array_equal(decode({"size": packed["size"], "counts": packed["counts"].decode()}), mask)


@pytest.mark.parametrize(
    ("rle", "problem"),
    [
        ({"counts": "4"}, r"expected `size` as \[height, width\], got None"),
        ({"size": [2], "counts": "4"}, r"expected `size` .*, got \[2\]"),
        ({"size": [2, -2], "counts": "4"}, r"expected `size` .*, got \[2, -2\]"),
        ({"size": [2, 2.0], "counts": "4"}, r"expected `size` .*, got \[2, 2.0\]"),
        ({"size": [2, 1 << 40], "counts": "4"}, r"expected `size` .*, got \[2, 1099511627776\]"),
        ({"size": "22", "counts": "4"}, r"expected `size` .*, got '22'"),
        ({"size": [2, 2]}, r"expected `counts` that are a text or whole numbers, got None"),
        ({"size": [2, 2], "counts": [1.5, 2.5]}, r"expected `counts` that are .*, got \[1.5, 2.5\]"),
        ({"size": [2, 2], "counts": [1 << 70]}, r"expected `counts` that are .*, got \[1180591620717411303424\]"),
        ({"size": [2, 2], "counts": [1, 2]}, r"expected runs that fill 2x2 pixels, got 3 pixels in 2 runs"),
        ({"size": [2, 2], "counts": [-1, 5]}, r"expected runs that fill 2x2 pixels"),
        ({"size": [2, 2], "counts": []}, r"expected runs that fill 2x2 pixels, got 0 pixels in 0 runs"),
        ({"size": [2, 2], "counts": "5"}, r"expected runs that fill 2x2 pixels, got 5 pixels in 1 runs"),
        ({"size": [2, 2], "counts": ""}, r"expected whole `counts`, got '' without its end"),
        ({"size": [2, 2], "counts": "T"}, r"expected whole `counts`, got 'T' without its end"),
        ({"size": [2, 2], "counts": "!!"}, r"expected `counts` as COCO packs them, got '!!'"),
        ({"size": [2, 2], "counts": "4é"}, r"expected `counts` as COCO packs them, got '4é'"),
        ({"size": [2, 2], "counts": b"\xff"}, r"expected `counts` as COCO packs them"),
        ({"size": [2, 2], "counts": "ooooooooooo0"}, r"expected `counts` as COCO packs them"),
    ],
)
def test_damage_is_told(rle, problem):
    with pytest.raises(InputError, match=rf"^mask: {problem}.*; get the mask again$"):
        decode(rle)
