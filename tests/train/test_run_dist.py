"""Training on two CPU processes: the same run as on one, and one wrong row ends both."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from internvl.model import load_model
from internvl.processor import InternVLProcessor
from tests.tiny import learned_ids
from tests.tiny_run import color_rows, make_row, read_scalars, run_process, train_here, write_arguments, write_meta
from train.data import SFTDataset
from train.mixture import Mixture, read_meta
from train.order import RunOrder

pytestmark = [pytest.mark.dist, pytest.mark.slow, pytest.mark.filterwarnings("ignore:The dirpath has changed")]


def count_learned(checkpoint: Path, meta: Path) -> set[int]:
    """The numbers of answer tokens that the rows have."""
    dataset = SFTDataset(Mixture(read_meta(meta)), InternVLProcessor.from_pretrained(checkpoint))
    return {len(learned_ids(dataset[index])) for index in range(len(dataset))}


def test_two_processes_train_as_one_and_one_goes_on_for_two(checkpoint, meta, tmp_path):
    # The loss is a mean per process: it is that of the whole batch where all answers are equally long.
    assert count_learned(checkpoint, meta) == {2}
    options = {"max_steps": 8, "save_steps": 4, "save_total_limit": 2}
    two = write_arguments(checkpoint, meta, tmp_path / "two", **options, devices=2, per_device_batch_size=2)
    done = run_process(*two)
    assert (done.code, done.errors) == (0, "")
    assert "batch: 4 = 2 per device x 2 devices x 1 forward passes; 8 steps" in done.output
    assert done.output.count("exported: ") == done.output.count("step 8/8") == 1

    one = write_arguments(checkpoint, meta, tmp_path / "one", **options)
    train_here(one)
    expected, got = (read_scalars(tmp_path / name) for name in ("one", "two"))
    for tag in ("train/loss", "train/learning_rate"):
        assert len(expected[tag]) == 8
        assert list(got[tag].values()) == pytest.approx(list(expected[tag].values()), rel=1e-4)
    load_model(tmp_path / "two" / "export")

    (tmp_path / "rest" / "checkpoints").mkdir(parents=True)
    shutil.copy(tmp_path / "two" / "checkpoints" / "step-4.ckpt", tmp_path / "rest" / "checkpoints")
    train_here([*one, f"--output_dir={tmp_path / 'rest'}"])
    rest = read_scalars(tmp_path / "rest")["train/loss"]
    assert rest == pytest.approx({step: expected["train/loss"][step] for step in range(4, 8)}, rel=1e-3)


def test_a_wrong_row_on_one_process_ends_both_with_its_message(checkpoint, tmp_path):
    # The row is the last of its step, so the second process has it.
    place = next(iter(RunOrder(8, 2, 4, 4, seed=0)))[3]
    rows = color_rows(tmp_path, 8)
    (tmp_path / "text.png").write_text("no picture")
    rows[place] = make_row("<image>\nWhat?", "red", image="text.png")
    meta = write_meta(tmp_path, rows)
    options = {"devices": 2, "per_device_batch_size": 2, "max_steps": 2, "seed": 0}
    done = run_process(*write_arguments(checkpoint, meta, tmp_path / "run", **options))
    assert done.code == 2
    assert done.errors == (
        f"error: {tmp_path}/rows.jsonl:{place + 1}: picture: expected a readable picture, got {tmp_path}/text.png "
        "(UnidentifiedImageError); replace the file\n"
    )
    assert not (tmp_path / "run" / "export").exists()
