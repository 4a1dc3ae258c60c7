"""Training on two CPU processes: the same run as on one, whatever the rows are, and each goes on for the other."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from internvl.model import load_model
from tests.tiny_run import (
    BAD_ROWS,
    make_row,
    mixed_rows,
    read_bad,
    read_scalars,
    record_samples,
    run_warm,
    train_here,
    write_arguments,
    write_bad_files,
    write_meta,
    write_metas,
)

pytestmark = [pytest.mark.dist, pytest.mark.slow]

OPTIONS = {
    "batch_size": 8,
    "max_steps": 8,
    "save_steps": 4,
    "save_total_limit": 2,
    "data.max_seq_length": 200,
    "data.max_num_frame": 8,
    "data.max_bad_share": 0.1,
    "eval.every_steps": 3,
}


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three data sets: forty rows of every kind, two of them bad; text alone; two rows that are rare."""
    folder = tmp_path_factory.mktemp("mixed")
    rows = mixed_rows(folder, 40)
    write_bad_files(folder)
    rows[8], rows[21] = BAD_ROWS["a lost picture"].row, BAD_ROWS["a broken picture"].row
    text = [make_row(f"What is number {number}?", "red " * (number % 5 + 1)) for number in range(30)]
    rare = [make_row("Which planet?", "red"), make_row("Which moon?", "blue green")]
    metas = [write_meta(folder, rows, data_augment=True), write_meta(folder, text, "text")]
    return write_metas(folder / "all.json", *metas, write_meta(folder, rare, "rare"))


@pytest.fixture(scope="module")
def held_out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("held")
    return write_meta(folder, mixed_rows(folder, 7), "kept")


def stop_after(run: Path, step: int, folder: Path) -> Path:
    """A run folder as a machine leaves it that stops after this step's checkpoint."""
    shutil.copytree(run / "checkpoints" / f"step-{step}", folder / "checkpoints" / f"step-{step}")
    shutil.copy(run / "config.yaml", folder)
    return folder


@pytest.mark.parametrize(
    ("weighting", "options", "batches"),
    [
        ("token", {}, "8 samples in 2 packs = 2 devices x 1 forward passes; "),
        (
            "square",
            {"data.packing": "false", "per_device_batch_size": 2, "data.num_workers": 1},
            "8 samples = 2 per device x 2 devices x 2 forward passes\n",
        ),
    ],
)
def test_two_processes_train_as_one_and_each_goes_on_for_the_other(
    weighting, options, batches, checkpoint, mixed, held_out, tmp_path
):
    shared: dict[str, Any] = OPTIONS | {"data.loss_reduction": weighting, "eval.meta_path": held_out}
    one = write_arguments(checkpoint, mixed, tmp_path / "one", **shared)
    with record_samples() as samples:
        train_here(one)
    two = write_arguments(checkpoint, mixed, tmp_path / "two", **shared | options, devices=2)
    done = run_warm(*two)
    assert (done.code, done.errors) == (0, "")
    assert f"\nbatch: {batches}" in done.output
    # The first process speaks for both.
    assert done.output.count("exported: ") == done.output.count("step 8/8") == done.output.count("data: rows: 40 ") == 1
    expected, got = (read_scalars(tmp_path / name) for name in ("one", "two"))
    assert len(expected["train/loss"]) == 8
    assert 0 < len(expected["loss/rare"]) < 8
    for tag in ("train/loss", "loss/rows", "loss/text", "loss/rare", "train/learning_rate", "epoch"):
        assert got[tag] == pytest.approx(expected[tag], rel=1e-5)
    assert list(expected["held_out/loss"]) == [2, 5, 7]
    assert got["held_out/loss"] == pytest.approx(expected["held_out/loss"], rel=1e-4)
    assert got["train/gradient_norm"] == pytest.approx(expected["train/gradient_norm"], rel=1e-3)
    assert got["data/bad_samples"] == expected["data/bad_samples"]
    by_line = [sorted(read_bad(tmp_path / name), key=lambda bad: bad["line"]) for name in ("one", "two")]
    assert by_line[0] == by_line[1]
    assert [bad["line"] for bad in by_line[0]] == [9, 22]
    load_model(tmp_path / "two" / "export")

    # One process goes on for two, with its own batches and with the samples that are left.
    rest = stop_after(tmp_path / "two", 4, tmp_path / "rest of two")
    with record_samples() as seen:
        train_here([*one, f"--output_dir={rest}"])
    left = {step: samples[step] for step in range(4, 8)}
    assert seen == left
    losses = {step: expected["train/loss"][step] for step in left}
    assert read_scalars(rest)["train/loss"] == pytest.approx(losses, rel=1e-5)
    # And two for one.
    rest = stop_after(tmp_path / "one", 4, tmp_path / "rest of one")
    done = run_warm(*two, f"--output_dir={rest}")
    assert (done.code, done.errors) == (0, "")
    assert read_scalars(rest)["train/loss"] == pytest.approx(losses, rel=1e-5)
    bad = {step: expected["data/bad_samples"][step] for step in left}
    assert read_scalars(rest)["data/bad_samples"] == bad
