"""Batches: padding, concatenation and packs, against the original collators and where ours decides otherwise."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from internvl.collate import collate, pack, weigh
from internvl.tokens import IGNORE_INDEX


def row(*ids: int, tiles: int = 0, **others: list[int]) -> dict[str, Tensor]:
    values = {"input_ids": list(ids), "labels": list(ids), **others}
    pictures = torch.full((tiles, 3, 2, 2), ids[0], dtype=torch.uint8)
    return {name: torch.tensor(value) for name, value in values.items()} | {"pixel_values": pictures}


def build_row(feature: dict[str, Any]) -> dict[str, Tensor]:
    named = {name: feature[name] for name in ("input_ids", "labels", "image_flags", "position_ids", "loss_weight")
             if name in feature}  # fmt: skip
    pictures = torch.full((feature["tiles"], 3, 2, 2), feature["pixel_value"])
    return {name: torch.tensor(value) for name, value in named.items()} | {"pixel_values": pictures}


@pytest.mark.golden("collator")
def test_batch_equals_the_original_collator(case, family):
    given, expected = case["input"], case["expected"]
    features = given["features"]
    batch = collate(
        [build_row(feature) for feature in features], pad_id=given["pad_id"], length=given["max_item_length"]
    )
    for name in sorted(expected.keys() - {"pixel_values", "image_flags", "attention_mask"}):
        assert str(batch[name].dtype) == f"torch.{expected[name]['dtype']}", name
        assert batch[name].shape == tuple(expected[name]["shape"]), name
        wanted = torch.tensor(expected[name]["values"], dtype=batch[name].dtype)
        assert torch.allclose(batch[name].double(), wanted.double(), rtol=0, atol=family["tolerance"]), name
    # The original takes every token that has the pad id for padding; ours knows the lengths, and differs there alone.
    mask = torch.tensor(expected["attention_mask"]["values"])
    for line, feature in enumerate(features):
        for place, token in enumerate(feature["input_ids"]):
            assert bool(mask[line, place]) == (token != given["pad_id"])
            mask[line, place] = True
    assert batch["attention_mask"].dtype == torch.bool
    assert torch.equal(batch["attention_mask"], mask)
    # One of the originals stacks one picture per row, with its flags in a column: the same numbers in the same order.
    assert batch["image_flags"].tolist() == torch.tensor(expected["image_flags"]["values"]).flatten().tolist()
    assert batch["pixel_values"].shape == tuple(expected["pixel_values"]["shape"])
    assert batch["pixel_values"][:, 0, 0, 0].tolist() == expected["pixel_values"]["first_of_each"]


def test_padding_goes_to_the_wanted_side():
    rows = [row(7, 8, 9), row(5)]
    right, left = collate(rows, pad_id=0), collate(rows, pad_id=0, side="left")
    assert right["input_ids"].tolist() == [[7, 8, 9], [5, 0, 0]]
    assert left["input_ids"].tolist() == [[7, 8, 9], [0, 0, 5]]
    assert left["labels"].tolist() == [[7, 8, 9], [IGNORE_INDEX, IGNORE_INDEX, 5]]
    assert left["attention_mask"].tolist() == [[True, True, True], [False, False, True]]


@pytest.mark.parametrize(("side", "expected"), [("right", [0, 1, 1, 1]), ("left", [1, 1, 0, 1])])
def test_positions_count_real_tokens_only(side, expected):
    batch = collate([row(1, 2, 3, 4), row(5, 6)], pad_id=0, side=side)
    assert batch["position_ids"].tolist() == [[0, 1, 2, 3], expected]


def test_length_is_a_minimum_and_never_cuts():
    assert collate([row(1, 2)], pad_id=9, length=4)["input_ids"].tolist() == [[1, 2, 9, 9]]
    assert collate([row(1, 2, 3)], pad_id=9, length=2)["input_ids"].tolist() == [[1, 2, 3]]


def test_pictures_follow_the_order_of_the_rows():
    batch = collate([row(1, tiles=2), row(2), row(3, tiles=1)], pad_id=0)
    assert batch["pixel_values"][:, 0, 0, 0].tolist() == [1, 1, 3]
    assert batch["image_flags"].tolist() == [1, 1, 1]


def test_only_a_batch_without_any_picture_gets_the_blank_tile():
    blank = torch.full((1, 3, 2, 2), 255, dtype=torch.uint8)
    batch = collate([row(1), row(2)], pad_id=0, blank=blank)
    assert torch.equal(batch["pixel_values"], blank)
    assert batch["image_flags"].tolist() == [0]
    assert len(collate([row(1), row(2, tiles=1)], pad_id=0, blank=blank)["pixel_values"]) == 1
    assert len(collate([row(1), row(2)], pad_id=0)["pixel_values"]) == 0


def test_an_ordinary_row_beside_an_isolated_one_is_a_single_dialogue():
    isolated = row(1, 2, 3, position_ids=[0, 1, 1], branch_ids=[0, 1, 2])
    for rows, place in (([isolated, row(4, 5)], 1), ([row(4, 5), isolated], 0)):
        batch = collate(rows, pad_id=0)
        assert batch["position_ids"][place].tolist()[:2] == [0, 1]
        assert batch["branch_ids"][place].tolist()[:2] == [0, 0]
        assert batch["position_ids"][1 - place].tolist() == [0, 1, 1]
        assert batch["branch_ids"][1 - place].tolist() == [0, 1, 2]


def test_rows_keep_their_tensors():
    rows = [row(1, 2, tiles=1), row(3)]
    before = [{name: value.clone() for name, value in values.items()} for values in rows]
    collate(rows, pad_id=0, blank=torch.zeros((1, 3, 2, 2), dtype=torch.uint8))["input_ids"].fill_(9)
    for values, old in zip(rows, before, strict=True):
        assert all(torch.equal(values[name], old[name]) for name in old)


def test_a_pack_lays_rows_on_one_line_and_restarts_positions():
    batch = pack([row(7, 8, 9), row(5, 6)])
    assert batch["input_ids"].tolist() == [[7, 8, 9, 5, 6]]
    assert batch["position_ids"].tolist() == [[0, 1, 2, 0, 1]]
    assert batch["sample_ids"].tolist() == [[0, 0, 0, 1, 1]]
    assert "attention_mask" not in batch
    assert "branch_ids" not in batch


def test_no_sample_of_a_pack_learns_its_first_token():
    batch = pack([row(7, 8, 9), row(5, 6)])
    assert batch["labels"].tolist() == [[IGNORE_INDEX, 8, 9, IGNORE_INDEX, 6]]


@pytest.mark.parametrize(
    ("weighting", "long", "short"), [("token", 1.0, 1.0), ("sample", 0.25, 1.0), ("square", 0.5, 1.0)]
)
def test_a_label_weighs_by_the_number_of_labels_of_its_sample(weighting, long, short):
    # The first token has no label, so four and one are left, and none in the row without an answer.
    rows = [row(1, 2, 3, 4, 5), row(6, 7), row(8, 9, labels=[IGNORE_INDEX, IGNORE_INDEX])]
    weight = pack(rows, weighting=weighting)["loss_weight"]
    assert weight.dtype == torch.float32
    assert weight.tolist() == [[0.0, long, long, long, long, 0.0, short, 0.0, 0.0]]


def test_an_unknown_weighting_is_refused():
    with pytest.raises(ValueError, match=r"^weighting: expected one of token, sample, square, got 'mean'"):
        pack([row(1, 2)], weighting="mean")


def test_isolated_rows_keep_positions_and_branches_in_a_pack():
    isolated = row(1, 2, 3, position_ids=[0, 1, 1], branch_ids=[0, 1, 2])
    batch = pack([row(4, 5), isolated, row(6, 7)])
    assert batch["position_ids"].tolist() == [[0, 1, 0, 1, 1, 0, 1]]
    assert batch["branch_ids"].tolist() == [[0, 0, 0, 1, 2, 0, 0]]


def test_only_a_pack_without_any_picture_gets_the_blank_tile():
    blank = torch.full((1, 3, 2, 2), 255, dtype=torch.uint8)
    batch = pack([row(1), row(2)], blank=blank)
    assert torch.equal(batch["pixel_values"], blank)
    assert batch["image_flags"].tolist() == [0]
    batch = pack([row(1, tiles=2), row(2), row(3, tiles=1)], blank=blank)
    assert batch["pixel_values"][:, 0, 0, 0].tolist() == [1, 1, 3]
    assert batch["image_flags"].tolist() == [1, 1, 1]


@pytest.mark.parametrize("count", [1, 2])
def test_rows_keep_their_tensors_when_packed(count):
    rows = [row(1, 2, tiles=1), row(3, 4)][:count]
    before = [{name: value.clone() for name, value in values.items()} for values in rows]
    for value in pack(rows).values():
        value.fill_(9)
    for values, old in zip(rows, before, strict=True):
        assert all(torch.equal(values[name], old[name]) for name in old if name != "pixel_values")


def test_every_pair_of_an_isolated_row_weighs_as_a_sample_of_its_own() -> None:
    labels = torch.tensor([-100, -100, 5, 6, 7, 8, -100, 9])
    branches = torch.tensor([0, 0, 1, 1, 1, 1, 2, 2])
    row = {"input_ids": torch.arange(8), "labels": labels, "branch_ids": branches}
    assert weigh(row, "token")["loss_weight"].tolist() == [0, 0, 1, 1, 1, 1, 0, 1]
    assert weigh(row, "sample")["loss_weight"].tolist() == [0, 0, 0.25, 0.25, 0.25, 0.25, 0, 1]
    assert weigh(row, "square")["loss_weight"].tolist() == [0, 0, 0.5, 0.5, 0.5, 0.5, 0, 1]
    assert "loss_weight" not in row
