"""Every strategy trains the same: 30 steps on one device, DDP, FSDP2 and ZeRO 1 to 3 follow one stored loss curve."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.tiny_run import (
    mixed_rows,
    read_losses,
    read_scalars,
    read_weights,
    run_here,
    run_warm,
    write_arguments,
    write_meta,
)

pytestmark = pytest.mark.slow

CURVE = Path(__file__).with_name("curve_30_steps.json")
OPTIONS = {
    "batch_size": 8,
    "max_steps": 30,
    "log_steps": 1,
    "save_steps": 30,
    "model.drop_path_rate": 0.0,
    "data.max_packed_tokens": 300,
    "data.max_seq_length": 200,
}
RUNS: dict[str, dict[str, Any]] = {
    "one device": {"strategy": "single", "devices": 1},
    "recomputed": {"strategy": "single", "devices": 1, "model.grad_checkpoint": "true"},
    "DDP": {"strategy": "ddp", "devices": 2},
    "FSDP2": {"strategy": "fsdp2", "devices": 2},
    "ZeRO-1": {"strategy": "zero1", "devices": 2},
    "ZeRO-2": {"strategy": "zero2", "devices": 2},
    "ZeRO-3": {"strategy": "zero3", "devices": 2},
    "ZeRO-3, recomputed": {"strategy": "zero3", "devices": 2, "model.grad_checkpoint": "true"},
    "ZeRO-3, everything on the host": {"strategy": "zero3", "devices": 2, "offload": "all"},
    "ZeRO-2, more forward passes": {"strategy": "zero2", "devices": 2, "data.max_packed_tokens": 200},
}


@pytest.fixture(scope="module")
def meta(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 rows of every kind."""
    folder = tmp_path_factory.mktemp("mixed")
    return write_meta(folder, mixed_rows(folder, 60))


def train(checkpoint: Path, meta: Path, folder: Path, **options: Any) -> Path:
    arguments = write_arguments(checkpoint, meta, folder, **{**OPTIONS, **options})
    done = run_here(arguments) if options["devices"] == 1 else run_warm(*arguments)
    assert done.code == 0, done.errors
    return folder


@pytest.fixture(scope="module")
def one_device(checkpoint: Path, meta: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(checkpoint, meta, tmp_path_factory.mktemp("run") / "one", **RUNS["one device"])


def test_a_run_reproduces_the_stored_curve(one_device):
    stored = json.loads(CURVE.read_text())
    assert len(stored["loss"]) == 30
    # Rounding differs between machines and versions, and training spreads it.
    assert read_losses(one_device) == pytest.approx(stored["loss"], rel=1e-4)
    norms = list(read_scalars(one_device)["train/gradient_norm"].values())
    assert norms == pytest.approx(stored["gradient_norm"], rel=1e-3)


@pytest.mark.dist
@pytest.mark.parametrize("name", [name for name in RUNS if name != "one device"])
def test_all_strategies_agree(name, checkpoint, meta, one_device, tmp_path):
    folder = train(checkpoint, meta, tmp_path / "run", **RUNS[name])
    assert read_losses(folder) == pytest.approx(read_losses(one_device), rel=1e-5)
    ours, theirs = (read_scalars(path)["train/gradient_norm"].values() for path in (folder, one_device))
    assert list(ours) == pytest.approx(list(theirs), rel=1e-4)
    before, after = read_weights(one_device), read_weights(folder)
    assert before.keys() == after.keys()
    for tensor in before:
        assert (before[tensor] - after[tensor]).abs().max() < 1e-4, tensor
