"""The data module: rows as padded batches, wrong rows as messages, and where a run stands."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from internvl.errors import InputError
from tests.tiny import tiny_config, tiny_picture, tiny_processor
from tests.tiny_run import color_rows, make_row, write_meta
from train.config import DataConfig
from train.data import SFTDataModule, SFTDataset, TrainingCollator
from train.mixture import Mixture, read_meta


def make_dataset(meta: Path, **tiling: Any) -> SFTDataset:
    return SFTDataset(Mixture(read_meta(meta)), tiny_processor(**tiling))


def make_module(checkpoint: Path, meta: Path, *, world: int = 1, rank: int = 0, **options: Any) -> SFTDataModule:
    """A data module with the least of a trainer that it asks for, set up."""
    template = options.pop("template", None)
    data = SFTDataModule(DataConfig(str(meta), **options), batch_size=4, per_device_batch_size=2, max_steps=5, seed=1)
    trainer: Any = SimpleNamespace(
        lightning_module=SimpleNamespace(pretrained=str(checkpoint), template=template),
        global_rank=rank,
        world_size=world,
        global_step=3,
    )
    data.trainer = trainer
    data.setup("fit")
    return data


WRONG_ROWS = {
    "no conversations": ({"image": "0.png"}, "expected `conversations`, a list of turns, got the keys image"),
    "no picture": (make_row("<image>\nWhat?", "A.", image="lost.png"), "expected a file, got .*lost.png"),
    "text for a picture": (make_row("<image>\nWhat?", "A.", image="text.png"), "expected a readable picture, got"),
    "too many slots": (make_row("<image><image>", "A.", image="0.png"), "expected one picture per <image> slot, got 1"),
    "too few slots": (make_row("<image>?", "A.", image=["0.png", "1.png"]), "got 2 pictures for 1 slots"),
    "no answer": ({"conversations": [{"from": "human", "value": "What?"}]}, "expected the last turn to be from gpt"),
    "no object": ([1], "expected a JSON object, got list"),
}


@pytest.mark.parametrize("name", WRONG_ROWS)
def test_a_wrong_row_becomes_a_message_with_file_and_line(name, tmp_path):
    row, message = WRONG_ROWS[name]
    rows = color_rows(tmp_path, 2)
    (tmp_path / "text.png").write_text("no picture")
    dataset = make_dataset(write_meta(tmp_path, [*rows, row]))
    assert isinstance(dataset[1], dict)
    assert str(dataset[2]).startswith(f"{tmp_path}/rows.jsonl:3: ")
    with pytest.raises(InputError, match=message):
        raise InputError(str(dataset[2]))


def test_a_row_is_what_the_processor_makes_of_it_for_training(tmp_path):
    dataset = make_dataset(write_meta(tmp_path, color_rows(tmp_path, 3)))
    assert len(dataset) == 3
    row = dataset[1]
    assert isinstance(row, dict)
    expected = dataset.processor(dataset.mixture[1][1], training=True)
    assert row.keys() == expected.keys() == {"input_ids", "labels", "pixel_values"}
    assert all(torch.equal(row[name], expected[name]) for name in row)


def test_the_limit_of_tiles_is_that_of_the_rows_own_file(tmp_path):
    tiny_picture(tmp_path, "wide.png", size=(600, 100))
    rows = [make_row("<image>\nWhat?", "A.", image="wide.png")]
    metas = [write_meta(tmp_path, rows, "own", max_dynamic_patch=2), write_meta(tmp_path, rows, "run")]
    mixture = Mixture([source for meta in metas for source in read_meta(meta)])
    dataset = SFTDataset(mixture, tiny_processor(dynamic=True, max_tiles=6))
    assert [len(dataset[index]["pixel_values"]) for index in range(2)] == [2, 6]


def test_rows_with_one_several_and_no_pictures_make_one_batch(tmp_path):
    rows = color_rows(tmp_path, 2)
    several = make_row("<image>\n<image>\nSame?", "no", image=["0.png", "1.png"])
    dataset = make_dataset(write_meta(tmp_path, [rows[0], several, make_row("Hello", "Hi there.")]))
    collator = TrainingCollator(dataset.processor.pad_id, dataset.processor.tiler.blank())
    batch = collator([dataset[index] for index in range(3)])
    lengths = [len(dataset[index]["input_ids"]) for index in range(3)]
    assert batch["attention_mask"].sum(1).tolist() == lengths
    assert batch["input_ids"].shape == batch["labels"].shape == (3, max(lengths))
    assert batch["image_flags"].tolist() == [1, 1, 1]
    assert len(batch["pixel_values"]) == 3


def test_loss_reduction_weighs_the_samples_of_a_batch(meta: Path) -> None:
    dataset = make_dataset(meta)
    rows = [dataset[0], dataset[1]]
    plain = TrainingCollator(dataset.processor.pad_id, dataset.processor.tiler.blank())(list(rows))
    weighed = TrainingCollator(dataset.processor.pad_id, dataset.processor.tiler.blank(), "sample")(list(rows))
    assert "loss_weight" not in plain
    assert weighed["loss_weight"].masked_fill(weighed["labels"] == -100, 0).sum(1).tolist() == pytest.approx([1, 1])


def test_a_batch_without_pictures_gets_a_blank_tile(tmp_path):
    dataset = make_dataset(write_meta(tmp_path, [make_row("Hello", "Hi.")]))
    batch = TrainingCollator(dataset.processor.pad_id, dataset.processor.tiler.blank())([dataset[0]])
    assert torch.equal(batch["pixel_values"], dataset.processor.tiler.blank())
    assert batch["image_flags"].tolist() == [0]


def test_a_message_among_the_rows_becomes_the_batch(tmp_path):
    dataset = make_dataset(write_meta(tmp_path, [make_row("Hello", "Hi."), make_row("<image>", "A.")]))
    collator = TrainingCollator(0, dataset.processor.tiler.blank())
    assert collator([dataset[0], dataset[1], "a later one"]) == {"error": dataset[1]}


@pytest.mark.parametrize(
    ("epochs", "max_steps", "steps"),
    [(1, None, 3), (0.5, None, 2), (2, None, 5), (0.01, None, 1), (0.8, None, 2), (1, 7, 7)],
)
def test_the_number_of_steps_covers_the_passes(epochs, max_steps, steps, tmp_path):
    meta = write_meta(tmp_path, [make_row("Q", "A")] * 10)
    data = SFTDataModule(DataConfig(str(meta)), 4, 2, num_train_epochs=epochs, max_steps=max_steps)
    assert data.num_steps == steps


def test_options_of_the_run_reach_the_processor(checkpoint, meta):
    data = make_module(checkpoint, meta, max_seq_length=99, dynamic_image_size=True, max_dynamic_patch=3)
    assert data.processor is not None
    assert (data.processor.max_length, data.processor.tiler.dynamic, data.processor.tiler.max_tiles) == (99, True, 3)
    assert data.processor.template.name == "Hermes-2"
    assert make_module(checkpoint, meta, template="internvl2_5").processor.template.name == "internvl2_5"


def test_two_ranks_share_every_step(checkpoint, meta):
    loaders = [make_module(checkpoint, meta, world=2, rank=rank, num_workers=0).train_dataloader() for rank in range(2)]
    whole = make_module(checkpoint, meta, num_workers=0).train_dataloader()
    assert [len(loader) for loader in (*loaders, whole)] == [5, 5, 10]
    shared = [batch["input_ids"].tolist() for pair in zip(*loaders, strict=True) for batch in pair]
    assert shared == [batch["input_ids"].tolist() for batch in whole]


def test_workers_give_the_batches_that_the_process_itself_would(checkpoint, meta):
    alone, workers = (make_module(checkpoint, meta, num_workers=n).train_dataloader() for n in (0, 2))
    for one, other in zip(alone, workers, strict=True):
        assert one.keys() == other.keys()
        assert all(torch.equal(one[name], other[name]) for name in one)


def test_the_loader_goes_on_behind_the_finished_steps(checkpoint, meta):
    first = make_module(checkpoint, meta, num_workers=0)
    assert first.state_dict() == {"steps_done": 3, "num_samples": 20, "batch_size": 4, "seed": 1}
    batches = [batch["input_ids"].tolist() for batch in first.train_dataloader()]
    second = make_module(checkpoint, meta, num_workers=0)
    second.load_state_dict(first.state_dict())
    assert [batch["input_ids"].tolist() for batch in second.train_dataloader()] == batches[6:]


@pytest.mark.parametrize("name", ["num_samples", "batch_size", "seed"])
def test_a_checkpoint_of_other_data_is_refused(name, checkpoint, meta):
    data = make_module(checkpoint, meta)
    state = data.state_dict() | {name: 77}
    with pytest.raises(InputError, match=rf"^resume: expected the data of the checkpoint \({name} 77\), got \d+; .*"):
        data.load_state_dict(state)
    assert data.steps_done == 0


def test_tiles_of_the_dataset_have_the_size_of_the_model(tmp_path):
    dataset = make_dataset(write_meta(tmp_path, color_rows(tmp_path, 1)))
    size = tiny_config().image_size
    assert dataset[0]["pixel_values"].shape == (1, 3, size, size)
    assert dataset[0]["pixel_values"].dtype == torch.uint8
