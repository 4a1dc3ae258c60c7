"""Random mixes of text, one picture, several pictures and videos over two processes: no step hangs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.tiny_run import build_here, mixed_rows, read_losses, run_warm, write_arguments, write_meta

pytestmark = [pytest.mark.slow, pytest.mark.dist]

NUM_STEPS = 300
# One sample per process and step, so that every pair of kinds meets, and none has a part to run that the other lacks.
OPTIONS: dict[str, Any] = {
    "batch_size": 2,
    "per_device_batch_size": 1,
    "data.packing": "false",
    "data.max_seq_length": 200,
    "max_steps": NUM_STEPS,
    "save_steps": NUM_STEPS,
    "devices": 2,
    "optim.learning_rate": 1e-4,
}


@pytest.fixture(scope="module")
def meta(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mixed")
    return write_meta(folder, mixed_rows(folder, 200))


def list_kinds(arguments: list[str], rank: int) -> list[int]:
    """Tiles of the sample of every step on one process."""
    data = build_here(arguments, world=2, rank=rank)
    return [int(batch["image_flags"].sum()) for batch in data.train_dataloader()]


# DDP has no collective inside of the model that a part without work could keep waiting: fewer do.
@pytest.mark.parametrize(("strategy", "steps"), [("ddp", 120), ("zero3", NUM_STEPS)])
def test_random_mixes_go_through(strategy, steps, checkpoint, meta, tmp_path):
    arguments = write_arguments(
        checkpoint, meta, tmp_path / "run", strategy=strategy, **{**OPTIONS, "max_steps": steps, "save_steps": steps}
    )
    done = run_warm(*arguments)  # which waits four minutes for what takes half of one
    assert (done.code, done.errors) == (0, "")
    assert len(read_losses(tmp_path / "run")) == steps
    pairs = set(zip(*(list_kinds(arguments, rank) for rank in (0, 1)), strict=True))
    # Text, a picture, two pictures and the frames of a video: each met every other, on either process.
    kinds = (0, 1, 2, 9)
    assert {(one, other) for one in kinds for other in kinds} <= pairs
