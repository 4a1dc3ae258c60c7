"""The curves of whole runs: the loss of every data set is the same however its tokens share packs, passes and ranks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.tiny_run import (
    make_row,
    mixed_rows,
    read_scalars,
    run_warm,
    train_here,
    write_arguments,
    write_meta,
    write_metas,
)

OPTIONS: dict[str, Any] = {
    "batch_size": 8,
    "max_steps": 6,
    "log_steps": 2,
    "data.max_seq_length": 200,
    "data.max_num_frame": 8,
    "peak_tflops": 2,
}
# In two of three intervals at most: two rows of 24, in three epochs of six steps.
RARE = [make_row("Which planet?", "red"), make_row("Which moon?", "blue green")]
NAMES = ("loss/pictures", "loss/text", "loss/rare")


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three data sets of different sizes."""
    folder = tmp_path_factory.mktemp("three")
    rows = mixed_rows(folder, 20)
    text = [make_row(f"What is number {number}?", "red " * (number % 5 + 1)) for number in range(30)]
    metas = [write_meta(folder, rows, "pictures"), write_meta(folder, text, "text"), write_meta(folder, RARE, "rare")]
    return write_metas(folder / "three.json", *metas)


@pytest.fixture(scope="module")
def expected(checkpoint: Path, three: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[int, float]]:
    """The curves of one process with one pack per step."""
    folder = tmp_path_factory.mktemp("packed")
    train_here(write_arguments(checkpoint, three, folder, **OPTIONS))
    return read_scalars(folder)


def assert_same_losses(got: dict[str, dict[int, float]], expected: dict[str, dict[int, float]]) -> None:
    for name in NAMES:
        assert got[name] == pytest.approx(expected[name], rel=1e-5), name


def test_every_data_set_has_a_curve_with_points_where_it_had_tokens(expected):
    assert {name for name in expected if name.startswith("loss/")} == set(NAMES)
    assert list(expected["loss/pictures"]) == list(expected["loss/text"]) == [1, 3, 5]
    assert 0 < len(expected["loss/rare"]) < 3
    assert all(0.1 < loss < 20 for name in NAMES for loss in expected[name].values())


def test_points_of_every_step_have_the_loss_of_the_step_as_their_mean(checkpoint, meta, tmp_path):
    train_here(write_arguments(checkpoint, meta, tmp_path, max_steps=3))
    curves = read_scalars(tmp_path)
    assert curves["loss/rows"] == pytest.approx(curves["train/loss"], rel=1e-6)


@pytest.mark.parametrize(
    "options",
    [
        {"data.max_packed_tokens": 200},
        {"data.packing": "false", "per_device_batch_size": 8},
        {"data.packing": "false", "per_device_batch_size": 2, "data.group_by_length": "true"},
        {"data.loss_reduction": "token", "data.num_workers": 1, "data.max_packed_tiles": 12},
    ],
)
def test_the_way_of_the_tokens_does_not_change_the_loss_of_their_data_set(
    options, checkpoint, three, expected, tmp_path
):
    train_here(write_arguments(checkpoint, three, tmp_path, **OPTIONS | options))
    curves = read_scalars(tmp_path)
    assert_same_losses(curves, expected)
    if "data.packing" in options:
        assert all(0.05 < share <= 1 for share in curves["data/useful_slots"].values())
        assert "data/pack_fill" not in curves


def test_curves_of_speed_data_and_memory_have_values_that_can_be(expected):
    for name in ("data/pack_fill", "data/wait_share"):
        assert list(expected[name]) == [1, 3, 5]
        assert all(0 < share <= 1 for share in expected[name].values())
    tflops, mfu = expected["speed/model_tflops_per_device"], expected["speed/mfu"]
    assert mfu == pytest.approx({step: value / 2 for step, value in tflops.items()}, rel=1e-5)
    assert all(0.1 < value < 100 for value in expected["memory/process_peak_gb"].values())


@pytest.mark.dist
@pytest.mark.slow
def test_two_processes_have_the_curves_of_one(checkpoint, three, expected, tmp_path):
    options = OPTIONS | {"devices": 2, "per_device_batch_size": 2, "data.max_packed_tokens": 200}
    done = run_warm(*write_arguments(checkpoint, three, tmp_path, **options))
    assert (done.code, done.errors) == (0, "")
    curves = read_scalars(tmp_path)
    assert_same_losses(curves, expected)
    assert list(curves["speed/mfu"]) == [1, 3, 5]
    assert done.output.count("step 6/6") == 1
