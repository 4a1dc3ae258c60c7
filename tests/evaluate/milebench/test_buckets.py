"""Batches of equally many pictures against tests/golden/milebench_batching.json."""

from __future__ import annotations

from typing import Any

import pytest

from evaluate.milebench.buckets import plan_buckets
from evaluate.milebench.combination import count_per_grid, plan_grids


@pytest.mark.golden("milebench_batching")
def test_batches_and_grids_agree_with_the_original(case: dict[str, Any]) -> None:
    asked, expected = case["input"], case["expected"]
    if asked["fn"] == "bucket":
        assert expected == [
            {"n_img": bucket.num_pictures, "sample_ids": [*bucket.places], "batch_size": bucket.batch_size}
            for bucket in plan_buckets(asked["n_images"], asked["batch_image"])
        ]
        return
    grids = plan_grids(asked["n_images"], asked["max_img_num"], asked["sample_id"])
    assert count_per_grid(asked["n_images"], asked["max_img_num"]) == expected["images_per_output"]
    assert expected["outputs"] == [
        {
            "file": grid.name,
            "size": [*grid.size],
            "captions": [*grid.captions],
            "tile_xy": [[*corner] for corner in grid.corners],
        }
        for grid in grids
    ]
    assert [number for grid in grids for number in grid.numbers] == list(range(asked["n_images"]))


def test_every_question_is_in_one_batch() -> None:
    buckets = plan_buckets([2, 5, 2, 0, 2], 4)
    assert [batch for bucket in buckets for batch in bucket.batches()] == [(0, 2), (4,), (1,), (3,)]


def test_without_a_number_equally_many_pictures_go_together() -> None:
    assert [[*bucket.batches()] for bucket in plan_buckets([2, 5, 2])] == [[(0, 2)], [(1,)]]
    assert plan_buckets([]) == []
