"""The loss of held-out rows: the mean over their tokens, however they share passes and processes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from internvl.model import load_model
from tests.tiny_run import (
    build_here,
    mixed_rows,
    read_scalars,
    read_weights,
    run_process,
    train_here,
    write_arguments,
    write_meta,
    write_metas,
)
from train.callbacks.held_out import name_points
from train.dataset import NOT_INPUTS

OPTIONS: dict[str, Any] = {"max_steps": 5, "data.max_seq_length": 200, "data.max_packed_tokens": 300}


@pytest.fixture(scope="module")
def held_out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two data sets of 13 rows in all."""
    metas = []
    for name, count in (("first", 8), ("second", 5)):
        folder = tmp_path_factory.mktemp(name)
        metas.append(write_meta(folder, mixed_rows(folder, count), name))
    return write_metas(metas[0].with_name("both.json"), *metas)


def measure_by_hand(checkpoint: Path, held_out: Path, folder: Path) -> float:
    """The mean loss over all learned tokens, one row at a time."""
    options = {**OPTIONS, "batch_size": 1, "per_device_batch_size": 1, "max_steps": 13, "data.packing": "false"}
    data = build_here(write_arguments(checkpoint, held_out, folder, **options))
    model = load_model(checkpoint).eval()
    total, number = 0.0, 0
    for batch in data.train_dataloader():
        inputs = {name: value for name, value in batch.items() if name not in (*NOT_INPUTS, "loss_weight")}
        learned = int((inputs["labels"] != -100).sum())
        with torch.no_grad():
            total += float(model(**inputs).loss) * learned
        number += learned
    return total / number


def train(checkpoint: Path, meta: Path, folder: Path, **options: Any) -> dict[str, dict[int, float]]:
    train_here(write_arguments(checkpoint, meta, folder, **{**OPTIONS, **options}))
    return read_scalars(folder)


@pytest.mark.parametrize("packing", ["true", "false"])
def test_it_is_the_mean_over_all_tokens(packing, checkpoint, meta, held_out, tmp_path):
    options = {"eval.meta_path": held_out, "eval.every_steps": 2, "data.packing": packing, "per_device_batch_size": 2}
    curves = train(checkpoint, meta, tmp_path / "run", **options, **{"optim.learning_rate": 0})
    # After steps 2 and 4, and at the end; the model does not move.
    assert list(curves["held_out/loss"]) == [1, 3, 4]
    expected = measure_by_hand(checkpoint, held_out, tmp_path / "hand")
    assert list(curves["held_out/loss"].values()) == pytest.approx([expected] * 3, rel=1e-5)
    assert {"held_out/first", "held_out/second"} <= curves.keys()
    low, high = sorted(curves[f"held_out/{name}"][1] for name in ("first", "second"))
    assert low < curves["held_out/loss"][1] < high


def test_measuring_changes_nothing(checkpoint, meta, held_out, tmp_path):
    options = {"model.drop_path_rate": 0.3, "model.use_llm_lora": 2}
    plain = train(checkpoint, meta, tmp_path / "plain", **options)
    watched = train(checkpoint, meta, tmp_path / "watched", **options, **{"eval.meta_path": held_out})
    assert plain["train/loss"] == watched["train/loss"]
    ours, theirs = read_weights(tmp_path / "plain"), read_weights(tmp_path / "watched")
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.slow
@pytest.mark.dist
@pytest.mark.parametrize("strategy", ["ddp", "zero3", "fsdp2"])
def test_two_processes_measure_what_one_does(strategy, checkpoint, meta, held_out, tmp_path):
    options = {**OPTIONS, "eval.meta_path": held_out, "eval.every_steps": 2, "data.max_packed_tokens": 200}
    one = train(checkpoint, meta, tmp_path / "one", **options)
    done = run_process(
        *write_arguments(checkpoint, meta, tmp_path / "two", strategy=strategy, **{**options, "devices": 2})
    )
    assert done.code == 0, done.errors
    assert done.output.count("held out: loss ") == 3
    two = read_scalars(tmp_path / "two")
    for name in ("held_out/loss", "held_out/first", "held_out/second"):
        assert list(two[name].values()) == pytest.approx(list(one[name].values()), rel=1e-4)


def test_a_data_set_without_tokens_has_no_point():
    sums = torch.tensor([[6.0, 0.0], [3.0, 0.0]], dtype=torch.float64)
    assert name_points(sums, ["some", "none"]) == {"held_out/loss": 2.0, "held_out/some": 2.0}
    assert name_points(sums[:, :1], ["some"]) == {"held_out/loss": 2.0}
