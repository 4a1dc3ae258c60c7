"""The loss of held-out rows: the plain mean over their tokens, however they are batched, and nothing else changes."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from internvl.model import load_model
from internvl.processor import InternVLProcessor
from tests.tiny_run import (
    mixed_rows,
    read_scalars,
    read_weights,
    run_warm,
    train_here,
    write_arguments,
    write_meta,
    write_metas,
)
from train.arguments import parse
from train.callbacks.held_out import HeldOutCallback, name_points
from train.engine import Crew, build_held_out

OPTIONS: dict[str, Any] = {
    "max_steps": 5,
    "eval.every_steps": 2,
    "data.max_seq_length": 200,
    "model.drop_path_rate": 0.5,
}


@pytest.fixture(scope="module")
def held_out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two data sets with rows of every kind; answers of one to six tokens."""
    folder = tmp_path_factory.mktemp("held")
    parts = [write_meta(folder / name, mixed_rows(folder / name, size), name) for name, size in (("a", 7), ("b", 4))]
    return write_metas(folder / "both.json", *parts)


def compute_by_hand(model_folder: Path, words: list[str]) -> dict[str, float]:
    """Row by row, from the logits of the exported model."""
    config = parse(words)
    processor = InternVLProcessor.from_pretrained(model_folder, max_length=200, **config.data.tiling)
    rows = build_held_out(config, processor, Crew())
    model, sums = load_model(model_folder), dict.fromkeys(rows.names, 0.0)
    counts = dict.fromkeys(rows.names, 0)
    for position in range(len(rows.dataset)):
        batch = rows.collator([rows.dataset[position]])
        names = "input_ids", "pixel_values", "image_flags", "position_ids", "branch_ids", "sample_ids", "attention_mask"
        with torch.no_grad():
            logits = model(**{name: batch[name] for name in names if name in batch}).logits
        labels = batch["labels"][:, 1:].flatten()
        losses = F.cross_entropy(logits[:, :-1].flatten(0, 1), labels, reduction="none", ignore_index=-100)
        name = rows.names[int(batch["sources"][0])]
        sums[name] += float(losses[labels != -100].sum())
        counts[name] += int((labels != -100).sum())
    points = {f"held_out/{name}": sums[name] / counts[name] for name in rows.names}
    return {"held_out/loss": sum(sums.values()) / sum(counts.values()), **points}


def read_points(folder: Path) -> dict[str, dict[int, float]]:
    return {tag: points for tag, points in read_scalars(folder).items() if tag.startswith("held_out/")}


@pytest.fixture(scope="module")
def measured(checkpoint: Path, meta: Path, held_out: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that measured packs."""
    folder = tmp_path_factory.mktemp("measured") / "run"
    words = write_arguments(checkpoint, meta, folder, **{**OPTIONS, "eval.meta_path": held_out})
    output = train_here(words)
    assert output.count("held out: loss ") == 3
    return folder


def test_it_is_the_mean_over_all_tokens(measured):
    words = ["--config", str(measured / "config.yaml")]
    expected = compute_by_hand(measured / "export", words)
    points = read_points(measured)
    # A point lies at the step that led to it, like the loss of that step; the last one is of the exported model.
    assert {tag: sorted(curve) for tag, curve in points.items()} == {tag: [1, 3, 4] for tag in expected}
    assert {tag: curve[4] for tag, curve in points.items()} == pytest.approx(expected, rel=1e-5)
    assert len({round(value, 4) for value in expected.values()}) == 3


@pytest.mark.parametrize(
    "options",
    [
        {"data.max_packed_tokens": 200, "per_device_batch_size": 1},
        {"data.packing": "false", "per_device_batch_size": 2},
        {"data.loss_reduction": "square", "data.packing": "false"},
    ],
    ids=["small packs", "padding", "weights of the training loss"],
)
def test_it_does_not_depend_on_the_batches(options, checkpoint, held_out, meta, measured, tmp_path):
    # The same model: nothing has been learned at a rate of zero.
    common = {**OPTIONS, "eval.meta_path": held_out, "optim.learning_rate": 0.0, "max_steps": 1}
    train_here(write_arguments(checkpoint, meta, tmp_path / "packs", **common))
    train_here(write_arguments(checkpoint, meta, tmp_path / "other", **common | options))
    expected, points = (read_points(tmp_path / name) for name in ("packs", "other"))
    assert points.keys() == expected.keys()
    for tag, curve in expected.items():
        assert points[tag] == pytest.approx(curve, rel=1e-5)


def test_measuring_changes_nothing_else(checkpoint, meta, measured, tmp_path):
    train_here(write_arguments(checkpoint, meta, tmp_path, **OPTIONS))
    assert read_scalars(tmp_path)["train/loss"] == read_scalars(measured)["train/loss"]
    plain, other = read_weights(tmp_path), read_weights(measured)
    assert all(torch.equal(plain[name], other[name]) for name in plain)


@pytest.mark.dist
@pytest.mark.slow
def test_two_processes_that_spread_a_model_measure_the_same(checkpoint, meta, held_out, measured, tmp_path):
    options = {**OPTIONS, "model.drop_path_rate": 0.0, "eval.meta_path": held_out, "data.packing": "false"}
    train_here(write_arguments(checkpoint, meta, tmp_path / "one", **options))
    # Six batches of two rows for two ranks that spread their parameters: both pass as often.
    two = {**options, "devices": 2, "strategy": "fsdp2", "per_device_batch_size": 2}
    done = run_warm(*write_arguments(checkpoint, meta, tmp_path / "two", **two))
    assert done.code == 0, done.errors
    assert done.output.count("held out: loss ") == 3
    expected, points = (read_points(tmp_path / name) for name in ("one", "two"))
    for tag, curve in expected.items():
        assert points[tag] == pytest.approx(curve, rel=1e-4)


def test_points_are_means_and_data_sets_without_tokens_have_none():
    sums = torch.tensor([6.0, 0.0, 2.0, 3.0, 0.0, 1.0])
    assert name_points(sums, ["a", "b", "c"]) == {"held_out/loss": 2.0, "held_out/a": 2.0, "held_out/c": 2.0}
    assert name_points(torch.tensor([6.0, 4.0]), ["a"]) == {"held_out/loss": 1.5}


def test_rows_without_answer_tokens_are_no_error():
    assert math.isnan(name_points(torch.zeros(2), ["a"])["held_out/loss"])


class Model:
    """A module that notes its mode; every batch has one token of the loss that it says."""

    def __init__(self) -> None:
        self.device = torch.device("cpu")
        self.modes: list[str] = ["train"]

    def eval(self) -> None:
        self.modes.append("eval")

    def train(self) -> None:
        self.modes.append("train")

    def model(self, **inputs: Any) -> Any:
        assert self.modes[-1] == "eval"
        assert not torch.is_grad_enabled()
        assert inputs.keys() == {"loss", "all_logits", "with_token_losses"}
        return SimpleNamespace(token_losses=inputs["loss"], token_samples=torch.tensor([0]))


@pytest.mark.parametrize("passes", [1, 2])
def test_it_is_measured_at_its_steps_in_evaluation_mode(passes, clock, monkeypatch):
    monkeypatch.setattr("train.callbacks.held_out.time", clock)
    batches = [{"loss": torch.tensor([value]), "sources": torch.tensor([0])} for value in (1.0, 3.0, 100.0)]

    def load(rank: int, world: int) -> tuple[Any, int]:
        assert (rank, world) == (1, 2)
        clock.now += 7
        return batches, 2  # the third one makes up the number

    logged: list[tuple[float, int]] = []
    logger = SimpleNamespace(log_metrics=lambda points, step: logged.append((points["held_out/loss"], step)))
    trainer: Any = SimpleNamespace(
        accumulate_grad_batches=passes,
        max_steps=5,
        global_step=0,
        global_rank=1,
        world_size=2,
        is_global_zero=False,
        loggers=[logger],
        strategy=SimpleNamespace(batch_to_device=lambda batch: batch, reduce=lambda sums, reduce_op: sums),
        precision_plugin=SimpleNamespace(val_step_context=torch.no_grad),
    )
    charts: Any = SimpleNamespace(begin=0.0)
    rows: Any = SimpleNamespace(names=["a"], load=load)
    module: Any = Model()
    callback = HeldOutCallback(rows, 2, charts)
    for batch in range(5 * passes):
        trainer.global_step = (batch + 1) // passes
        callback.on_train_batch_end(trainer, module, None, None, batch)
    assert logged == [(2.0, 1), (2.0, 3), (2.0, 4)]
    assert module.modes == ["train", *["eval", "train"] * 3]
    assert charts.begin == 21.0  # this time is no training
