"""How samples share batches never shows in the training: packs, padding, forward passes, all weightings of the loss."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.tiny_run import (
    mixed_rows,
    read_losses,
    read_scalars,
    record_samples,
    train_here,
    write_arguments,
    write_meta,
)

# Every way to batch the same eight samples, and how many forward passes they take.
WAYS: dict[str, tuple[dict[str, Any], int]] = {
    "two packs": ({"data.max_packed_tokens": 400}, 2),
    "four packs": ({"data.max_packed_tokens": 200, "data.max_packed_tiles": 9}, 4),
    "padded": ({"data.packing": "false", "per_device_batch_size": 8}, 1),
    "padded in two": ({"data.packing": "false", "per_device_batch_size": 4}, 2),
    "padded in four": ({"data.packing": "false", "per_device_batch_size": 2}, 4),
    "padded by length": ({"data.packing": "false", "per_device_batch_size": 2, "data.group_by_length": "true"}, 4),
    "alone": ({"data.packing": "false", "per_device_batch_size": 1}, 8),
}
OPTIONS = {"batch_size": 8, "max_steps": 8, "data.max_seq_length": 200, "data.max_num_frame": 8}


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty rows of every kind."""
    folder = tmp_path_factory.mktemp("mixed")
    return write_meta(folder, mixed_rows(folder, 40), data_augment=True)


@pytest.mark.parametrize("weighting", ["token", "sample", "square"])
def test_every_way_to_batch_the_samples_of_a_step_gives_the_same_curves(weighting, checkpoint, mixed, tmp_path):
    def train(name: str, **options: Any) -> dict[int, list[tuple[int, ...]]]:
        arguments = write_arguments(checkpoint, mixed, tmp_path / name, **OPTIONS | options)
        with record_samples() as seen:
            output = train_here([*arguments, f"--data.loss_reduction={weighting}"])
        outputs[name] = output
        return dict(seen)

    outputs: dict[str, str] = {}
    samples = train("packed")
    expected = read_scalars(tmp_path / "packed")
    assert "in 1 packs = 1 devices x 1 forward passes" in outputs["packed"]
    assert len(expected["train/loss"]) == 8
    for name, (options, passes) in WAYS.items():
        assert train(name, **options) == samples
        assert f"1 devices x {passes} forward passes" in outputs[name]
        curves = read_scalars(tmp_path / name)
        # The order of additions in 32 bits is all that differs.
        assert curves["train/loss"] == pytest.approx(expected["train/loss"], rel=1e-5)
        assert curves["train/gradient_norm"] == pytest.approx(expected["train/gradient_norm"], rel=1e-3)


def test_weightings_are_not_the_same(checkpoint, mixed, tmp_path):
    curves = []
    for weighting in ("token", "sample", "square"):
        options = OPTIONS | {"data.loss_reduction": weighting, "max_steps": 1}
        train_here(write_arguments(checkpoint, mixed, tmp_path / weighting, **options))
        curves += read_losses(tmp_path / weighting)
    assert min(abs(one - other) for one, other in [curves[:2], curves[1:], curves[::2]]) > 1e-4


def test_a_frame_another_picture_or_another_order_of_them_shows_in_the_loss(checkpoint, tmp_path):
    # Or the comparisons above could not fail.
    losses = []
    for name in ("rows", "frame", "swapped"):
        folder = tmp_path / name
        rows = mixed_rows(folder, 20)
        if name == "frame":
            for frame in range(9):
                (folder / "clip0" / f"frame_{frame}.jpg").write_bytes((folder / "clip1" / "frame_0.jpg").read_bytes())
        if name == "swapped":
            rows = [{**row, "image": row["image"][::-1]} if isinstance(row.get("image"), list) else row for row in rows]
        options = OPTIONS | {"batch_size": 20, "max_steps": 1}
        train_here(write_arguments(checkpoint, write_meta(folder, rows), tmp_path / f"{name} run", **options))
        losses += read_losses(tmp_path / f"{name} run")
    assert abs(losses[1] - losses[0]) > 1e-4
    assert abs(losses[2] - losses[0]) > 1e-4


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_do_not_show_in_the_curves(workers, checkpoint, mixed, tmp_path):
    for count in (0, workers):
        options = OPTIONS | {"data.num_workers": count, "max_steps": 5}
        train_here(write_arguments(checkpoint, mixed, tmp_path / str(count), **options))
    assert read_losses(tmp_path / "0") == read_losses(tmp_path / str(workers))
