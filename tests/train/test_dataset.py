"""The sample at a position of a run: its own row or what stands in for it, the same wherever it is asked for."""

from __future__ import annotations

import copy
import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from internvl.conversation import Conversation
from tests.tiny import tiny_config, tiny_picture, tiny_processor
from tests.tiny_run import (
    BAD_ROWS,
    color_rows,
    make_row,
    mixed_rows,
    split_samples,
    write_bad_files,
    write_meta,
    write_metas,
)
from train.bad_samples import BadSample
from train.config import DataConfig
from train.counts import Counts
from train.dataset import Prepared, SFTDataset, TrainingCollator
from train.engine import open_mixture
from train.order import RunOrder


def make_dataset(meta: Path, *, seed: int = 1, **options: Any) -> SFTDataset:
    data = DataConfig(str(meta), **options)
    processor = tiny_processor(max_length=data.max_seq_length, **data.tiling)
    mixture = open_mixture(data, processor, seed)
    return SFTDataset(mixture, RunOrder(len(mixture), seed), processor, data.max_repetition)


def find_position(dataset: SFTDataset, row: int, epoch: int = 0) -> int:
    """Where a row of the only file stands in an epoch."""
    positions = np.arange(len(dataset)) + epoch * len(dataset)
    rows = dataset.mixture.locate(*dataset.order.locate(positions))[1]
    return int(positions[rows.tolist().index(row)])


def assert_same(one: Prepared, other: Prepared) -> None:
    assert one.row is not None
    assert other.row is not None
    assert one.row.keys() == other.row.keys()
    assert all(torch.equal(one.row[name], other.row[name]) for name in one.row)


def tensors(prepared: Prepared) -> dict[str, Tensor]:
    assert prepared.row is not None
    return prepared.row


def noise(folder: Path, name: str, size: tuple[int, int] = (60, 60)) -> str:
    """A picture that no JPEG leaves as it is."""
    pixels = np.random.default_rng(len(name)).integers(0, 256, (*size, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(folder / name)
    return name


def test_a_sample_is_what_the_processor_makes_of_its_row_for_training(tmp_path):
    rows = mixed_rows(tmp_path, 10)
    dataset = make_dataset(write_meta(tmp_path, rows))
    for number, row in enumerate(rows):
        if "video" in row:
            continue
        sample = dataset[find_position(dataset, number)]
        chat = Conversation.from_row(row, tmp_path, "row")
        assert_same(sample, Prepared(dataset.processor(chat, training=True), False, False, ()))
        assert (sample.is_cut, sample.is_bad, sample.found) == (False, False, ())


def test_every_epoch_has_every_row_once_in_an_order_of_its_own(tmp_path):
    dataset = make_dataset(write_meta(tmp_path, mixed_rows(tmp_path, 10)), frame_sampling="middle")
    epochs = [[tuple(tensors(dataset[k + 10 * epoch])["input_ids"].tolist()) for k in range(10)] for epoch in range(3)]
    assert sorted(epochs[0]) == sorted(epochs[1]) == sorted(epochs[2])
    assert len(set(epochs[0])) == 10
    assert epochs[0] != epochs[1] != epochs[2] != epochs[0]


def test_samples_are_never_larger_than_planned(tmp_path):
    rows = [*mixed_rows(tmp_path, 20), make_row("Say it.", "word " * 300)]
    options = {"max_seq_length": 120, "min_num_frame": 2, "max_num_frame": 6}
    dataset = make_dataset(write_meta(tmp_path, rows), **options)
    for tokens, tiles, position in zip(*dataset.measure(np.arange(63)), range(63), strict=True):
        row = tensors(dataset[position])
        assert (len(row["input_ids"]), len(row["pixel_values"])) == (tokens, tiles)
        assert dataset[position].is_cut == (tokens == 120)


def test_the_limit_of_tiles_is_that_of_the_rows_own_file(tmp_path):
    tiny_picture(tmp_path, "wide.png", size=(600, 100))
    rows = [make_row("<image>\nWhat?", "A.", image="wide.png")]
    metas = write_meta(tmp_path, rows, "own", max_dynamic_patch=2), write_meta(tmp_path, rows, "run")
    meta = write_metas(tmp_path / "meta.json", *metas)
    dataset = make_dataset(meta, dynamic_image_size=True, max_dynamic_patch=6)
    assert sorted(len(tensors(dataset[index])["pixel_values"]) for index in range(2)) == [2, 6]


@pytest.mark.parametrize("name", BAD_ROWS)
def test_a_bad_row_is_replaced_by_the_next_and_the_others_stay_where_they_are(name, tmp_path):
    bad, rows = BAD_ROWS[name], color_rows(tmp_path, 12)
    write_bad_files(tmp_path)
    good = make_dataset(write_meta(tmp_path, rows, "good"), max_seq_length=100)
    dataset = make_dataset(write_meta(tmp_path, [*rows[:4], bad.row, *rows[5:]], "planted"), max_seq_length=100)
    place = find_position(good, 4)
    for position in range(24):
        sample = dataset[position]
        if position in (place, find_position(good, 4, epoch=1)):
            # The row behind it takes its place as well, in the epoch after this one, too.
            assert_same(sample, good[find_position(good, 5)])
            assert sample.is_bad
        else:
            assert_same(sample, good[position])
            assert (sample.is_bad, sample.found) == (False, ())
    listed = list(dataset[place].found) or list(dataset.mixture.bad_samples())
    assert [(found.file, found.line, found.replaced_by) for found in listed] == [(f"{tmp_path}/planted.jsonl", 5, 6)]
    assert listed[0].reason.startswith(bad.reason.format(folder=tmp_path))
    assert "\n" not in listed[0].reason
    assert bad.is_known == (not dataset[place].found)


def test_nothing_larger_stands_in_for_a_row_so_that_its_pack_keeps_to_the_budget(tmp_path):
    rows = color_rows(tmp_path, 10)
    write_bad_files(tmp_path)
    rows[3] = BAD_ROWS["a broken picture"].row
    rows[4] = make_row("<image><image>", "red", image=["0.png", "1.png"])
    rows[5] = make_row("<image>\n" + "And what color is this? " * 9, "red", image="0.png")
    dataset = make_dataset(write_meta(tmp_path, rows))
    sample = dataset[find_position(dataset, 3)]
    assert sample.found[0].replaced_by == 7
    assert_same(sample, dataset[find_position(dataset, 6)])
    planned = [int(part[0]) for part in dataset.measure(np.array([find_position(dataset, 3)]))]
    assert len(tensors(sample)["input_ids"]) <= planned[0]


def test_rows_that_fail_one_behind_the_other_are_all_found(tmp_path):
    rows = color_rows(tmp_path, 8)
    write_bad_files(tmp_path)
    rows[6] = rows[7] = BAD_ROWS["a broken picture"].row
    dataset = make_dataset(write_meta(tmp_path, rows))
    sample = dataset[find_position(dataset, 6)]
    # Behind the last row comes the first.
    assert [(bad.line, bad.replaced_by) for bad in sample.found] == [(7, 1), (8, 1)]
    assert_same(sample, dataset[find_position(dataset, 0)])


def test_what_stands_in_for_a_known_row_may_be_bad_as_well(tmp_path):
    rows = color_rows(tmp_path, 6)
    write_bad_files(tmp_path)
    rows[2:4] = [BAD_ROWS["a lost picture"].row, BAD_ROWS["a broken picture"].row]
    dataset = make_dataset(write_meta(tmp_path, rows))
    sample = dataset[find_position(dataset, 2)]
    assert sample.is_bad
    assert [(bad.line, bad.replaced_by) for bad in sample.found] == [(4, 5)]
    assert_same(sample, dataset[find_position(dataset, 4)])


def test_rows_are_not_tried_without_end_when_all_of_them_fail(tmp_path):
    names = [row["image"] for row in color_rows(tmp_path, 40)]
    dataset = make_dataset(write_meta(tmp_path, [make_row("<image>\nWhat?", "red", image=name) for name in names]))
    for path in tmp_path.glob("*.png"):
        path.unlink()  # as where a disk is gone
    sample = dataset[find_position(dataset, 3)]
    assert (sample.row, len(sample.found)) == (None, 17)
    assert {bad.replaced_by for bad in sample.found} == {None}


def test_a_row_that_nothing_can_replace_leaves_its_place_empty(tmp_path):
    write_bad_files(tmp_path)
    row = BAD_ROWS["a broken picture"].row
    dataset = make_dataset(write_meta(tmp_path, [row, row, make_row("<image>" * 9, "A", image=["broken.ppm"] * 9)]))
    sample = dataset[find_position(dataset, 0)]
    assert (sample.row, sample.is_cut, sample.is_bad) == (None, False, True)
    assert [(bad.line, bad.replaced_by) for bad in sample.found] == [(1, None), (2, None)]


def test_a_stand_in_comes_from_the_part_of_the_file_that_is_drawn(tmp_path):
    rows = color_rows(tmp_path, 8)
    write_bad_files(tmp_path)
    rows[3] = BAD_ROWS["a broken picture"].row
    dataset = make_dataset(write_meta(tmp_path, rows, repeat_time=0.5))
    assert dataset[find_position(dataset, 3)].found[0].replaced_by == 1


def test_a_picture_that_grew_behind_the_index_does_not_break_the_budget(tmp_path):
    for number in range(4):
        tiny_picture(tmp_path, f"{number}.png", size=(50, 50))
    rows = [make_row("<image>\nWhat?", f"A {number}", image=f"{number}.png") for number in range(4)]
    meta = write_meta(tmp_path, rows)
    make_dataset(meta, dynamic_image_size=True, max_dynamic_patch=6)
    tiny_picture(tmp_path, "1.png", size=(600, 100))
    dataset = make_dataset(meta, dynamic_image_size=True, max_dynamic_patch=6)
    sample = dataset[find_position(dataset, 1)]
    (bad,) = sample.found
    assert re.match(r"expected at most the \d+ tokens and 1 tiles of the index, got \d+ and 6; ", bad.reason)
    assert bad.reason.endswith(f"a picture was replaced, delete {tmp_path}/rows.jsonl.index")
    assert_same(sample, dataset[find_position(dataset, 2)])


def test_a_picture_that_was_deleted_behind_the_index_is_a_bad_row(tmp_path):
    dataset = make_dataset(write_meta(tmp_path, color_rows(tmp_path, 4)))
    (tmp_path / "1.png").unlink()
    (bad,) = dataset[find_position(dataset, 1)].found
    assert bad.reason.startswith(f"picture: expected a file, got {tmp_path}/1.png, which does not exist")
    assert (bad.line, bad.replaced_by) == (2, 3)


def test_a_worker_gets_the_same_samples(tmp_path):
    rows = mixed_rows(tmp_path, 10)
    write_bad_files(tmp_path)
    rows[3] = BAD_ROWS["a broken picture"].row
    dataset = make_dataset(write_meta(tmp_path, rows, data_augment=True))
    copied = pickle.loads(pickle.dumps(dataset))
    for position in range(20):
        assert_same(copied[position], dataset[position])
        assert copied[position].found == dataset[position].found


def test_augmented_pictures_differ_by_epoch_and_seed_and_by_nothing_else(tmp_path):
    rows = [make_row("<image>\nWhat?", str(k), image=noise(tmp_path, f"{'x' * k}.png")) for k in range(1, 5)]
    meta, plain = (write_meta(tmp_path, rows, name, data_augment=name == "meta") for name in ("meta", "plain"))
    first, again, second = (make_dataset(meta, seed=seed) for seed in (1, 1, 2))
    unchanged = make_dataset(plain, seed=1)
    for row in range(4):
        seen = [first[find_position(first, row, epoch)] for epoch in range(3)]
        seen.append(second[find_position(second, row)])
        pixels = [tensors(sample)["pixel_values"] for sample in seen]
        assert_same(seen[0], again[find_position(again, row)])
        assert not torch.equal(pixels[0], tensors(unchanged[find_position(unchanged, row)])["pixel_values"])
        # A quality of JPEG is drawn from 26.
        assert len({picture.numpy().tobytes() for picture in pixels}) > 1
        assert len({tuple(tensors(sample)["input_ids"].tolist()) for sample in seen}) == 1


def test_frames_of_a_video_differ_by_epoch_and_their_number_does_not(tmp_path):
    (tmp_path / "clip").mkdir()
    for frame in range(40):
        Image.new("RGB", (20, 20), (6 * frame, 0, 0)).save(tmp_path / "clip" / f"f_{frame}.jpg")
    meta = write_meta(tmp_path, [make_row("<video>\nWhat?", "A.", video="clip")])
    dataset = make_dataset(meta, min_num_frame=3, max_num_frame=9)
    frames = [tensors(dataset[epoch])["pixel_values"] for epoch in range(6)]
    assert len({picture.numpy().tobytes() for picture in frames}) > 3
    assert len({len(picture) for picture in frames}) == 1
    assert 3 <= len(frames[0]) <= 9
    assert_same(dataset[2], make_dataset(meta, min_num_frame=3, max_num_frame=9)[2])
    middle = make_dataset(meta, min_num_frame=3, max_num_frame=9, frame_sampling="middle")
    assert_same(middle[0], middle[1])


@pytest.mark.parametrize(("limit", "is_bad"), [(None, False), (0.4, True), (0.5, False)])
def test_an_answer_that_repeats_itself_is_bad_where_a_limit_is_set(limit, is_bad, tmp_path):
    passage = " ".join(f"word{k}" for k in range(60))
    rows = [
        make_row("A long text?", f"{passage} {passage}"),
        make_row(f"{passage} {passage}", "no"),
        make_row("Q", "A"),
    ]
    dataset = make_dataset(write_meta(tmp_path, rows), max_repetition=limit)
    samples = [dataset[find_position(dataset, row)] for row in range(3)]
    assert [sample.is_bad for sample in samples] == [is_bad, False, False]
    if is_bad:
        (found,) = samples[0].found
        assert found.reason.startswith("expected at most 0.4 of an answer's runs of ten words to repeat (data.max_rep")
        assert (found.line, found.replaced_by) == (1, 2)


def test_reading_a_sample_leaves_the_data_set_as_it_was(tmp_path):
    dataset = make_dataset(write_meta(tmp_path, mixed_rows(tmp_path, 10), data_augment=True))
    first = copy.deepcopy(tensors(dataset[3]))
    for position in range(9, -1, -1):
        dataset[position]
    assert all(torch.equal(value, first[name]) for name, value in tensors(dataset[3]).items())


def collate(dataset: SFTDataset, samples: list[Prepared], weighting: Any = "token", *, packs: bool) -> dict[str, Any]:
    processor = dataset.processor
    return TrainingCollator(processor.pad_id, processor.tiler.blank(), weighting, packs=packs)(samples)


@pytest.mark.parametrize("packs", [False, True])
def test_samples_of_all_kinds_make_one_batch(packs, tmp_path):
    dataset = make_dataset(write_meta(tmp_path, mixed_rows(tmp_path, 5)))
    samples = [dataset[position] for position in range(5)]
    batch = collate(dataset, samples, packs=packs)
    assert split_samples(batch) == [tuple(tensors(sample)["input_ids"].tolist()) for sample in samples]
    tiles = torch.cat([tensors(sample)["pixel_values"] for sample in samples])
    assert torch.equal(batch["pixel_values"], tiles)
    assert batch["image_flags"].tolist() == [1] * len(tiles)
    assert ("sample_ids" in batch, "attention_mask" in batch) == (packs, not packs)
    assert "branch_ids" in batch
    counts = Counts.from_tensor(batch["counts"])
    learned = sum(int((tensors(sample)["labels"] >= 0).sum()) for sample in samples)
    assert (counts.samples, counts.tiles, counts.learned) == (5, len(tiles), learned)
    assert counts.tokens == sum(len(tensors(sample)["input_ids"]) for sample in samples)


@pytest.mark.parametrize("packs", [False, True])
@pytest.mark.parametrize(("weighting", "power"), [("token", 0), ("square", -0.5), ("sample", -1)])
def test_the_weight_of_a_batch_is_that_of_its_samples(weighting, power, packs, tmp_path):
    rows = [make_row("Q", "blue " * k + "end") for k in (1, 5, 20)]
    dataset = make_dataset(write_meta(tmp_path, rows))
    batch = collate(dataset, [dataset[k] for k in range(3)], weighting, packs=packs)
    learned = [int((tensors(dataset[k])["labels"] >= 0).sum()) for k in range(3)]
    expected = sum(count * count**power for count in learned)
    assert Counts.from_tensor(batch["counts"]).weight == pytest.approx(expected, rel=1e-6)
    # Padding weighs nothing.
    assert float(batch["loss_weight"][batch["labels"] >= 0].sum()) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("packs", [False, True])
def test_a_batch_counts_what_was_cut_bad_and_found(packs, tmp_path):
    dataset = make_dataset(write_meta(tmp_path, color_rows(tmp_path, 4)))
    row, bad = dataset[0].row, [BadSample("rows.jsonl", line, "why", line + 1) for line in (3, 7)]
    samples = [
        Prepared(row, True, False, ()),
        Prepared(row, True, True, ()),
        Prepared(row, False, True, tuple(bad)),
        Prepared(None, False, True, ()),
    ]
    batch = collate(dataset, samples, packs=packs)
    counts = Counts.from_tensor(batch["counts"])
    assert (counts.samples, counts.cut, counts.bad, counts.found) == (4, 2, 3, 2)
    assert batch["found"] == [sample.to_json() for sample in bad]
    assert len(split_samples(batch)) == 3


@pytest.mark.parametrize("packs", [False, True])
def test_a_batch_says_where_its_samples_are_from_and_what_they_cost(packs, tmp_path):
    rows = mixed_rows(tmp_path, 10)
    write_bad_files(tmp_path)
    metas = [
        write_meta(tmp_path, [rows[0], BAD_ROWS["a broken picture"].row, rows[2]], "one"),
        write_meta(tmp_path, rows[5:9], "two"),
        write_meta(tmp_path, [BAD_ROWS["a broken picture"].row], "three"),
    ]
    dataset = make_dataset(write_metas(tmp_path / "all.json", *metas))
    samples = [dataset[position] for position in range(8, 16)]
    drawn = dataset.mixture.locate(*dataset.order.locate(np.arange(8, 16)))[0].tolist()
    # A substitute is of the same data set; nothing takes the place of the only row.
    assert [sample.source for sample in samples] == drawn
    assert [sample.position for sample in samples] == list(range(8, 16))
    assert [sample.row is None for sample in samples] == [source == 2 for source in drawn]
    batch = collate(dataset, samples, packs=packs)
    assert batch["sources"].tolist() == [source for source in drawn if source != 2]
    assert batch["positions"].tolist() == [
        position for position, source in zip(range(8, 16), drawn, strict=True) if source != 2
    ]
    assert {batch[name].dtype for name in ("sources", "positions")} == {torch.int64}
    lengths = [len(sample.row["input_ids"]) for sample in samples if sample.row is not None]
    counts = Counts.from_tensor(batch["counts"])
    assert counts.squares == sum(length**2 for length in lengths)
    assert counts.slots == (sum(lengths) if packs else 7 * max(lengths))


@pytest.mark.parametrize("packs", [False, True])
def test_a_batch_of_nothing_but_empty_places_is_one_token_that_nothing_is_learned_from(packs, tmp_path):
    dataset = make_dataset(write_meta(tmp_path, color_rows(tmp_path, 1)))
    full = collate(dataset, [dataset[0]], packs=packs)
    batch = collate(dataset, [Prepared(None, False, True, ())] * 2, packs=packs)
    assert batch.keys() == full.keys()
    assert batch["input_ids"].tolist() == [[dataset.processor.pad_id]]
    assert (batch["labels"].tolist(), batch["loss_weight"].tolist()) == ([[-100]], [[0.0]])
    assert torch.equal(batch["pixel_values"], dataset.processor.tiler.blank())
    assert batch["image_flags"].tolist() == [0]
    counts = Counts.from_tensor(batch["counts"])
    assert (counts.samples, counts.bad, counts.tokens, counts.tiles, counts.weight) == (2, 2, 0, 0, 0)
    assert (counts.squares, counts.slots) == (0, 1)
    assert batch["sources"].tolist() == batch["positions"].tolist() == []


def test_tiles_have_the_size_of_the_model_and_whole_numbers(tmp_path):
    dataset = make_dataset(write_meta(tmp_path, color_rows(tmp_path, 1)))
    size = tiny_config().image_size
    pixels = tensors(dataset[0])["pixel_values"]
    assert (pixels.shape, pixels.dtype) == ((1, 3, size, size), torch.uint8)
