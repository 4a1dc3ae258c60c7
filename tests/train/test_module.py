"""The Lightning module: our strategies train it, parts of a step add up, frozen parts stay, gradients are clipped."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lightning as L
import pytest
import torch

from internvl.errors import InputError
from internvl.model.checkpoint import open_checkpoint
from tests.tiny_run import build_here, mixed_rows, without_gpu, write_arguments, write_meta
from train.config import ModelConfig, OptimConfig
from train.counts import Counts
from train.module import SFTModule
from train.strategy import SingleStrategy

# Of Lightning: frozen parts, a run shorter than the interval of its log, a call of its own that torch deprecates, and
# slurm that is there and not used.
pytestmark = pytest.mark.filterwarnings(
    "ignore:.*in eval mode at the start",
    "ignore:.*smaller than the logging interval",
    "ignore:.*LeafSpec",
    "ignore:.*`srun` command is available",
)
PARTS = {"freeze_backbone": "vision_model", "freeze_mlp": "mlp1", "freeze_llm": "language_model"}


class Watcher(L.Callback):
    """Writes down, at every step, which parts train and how long the gradient is that was applied."""

    def __init__(self) -> None:
        self.modes: list[dict[str, set[bool]]] = []
        self.norms: list[float] = []
        self.weights: dict[str, torch.Tensor] = {}

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.weights = {name: value.clone() for name, value in pl_module.state_dict().items()}

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        self.modes.append(
            {name: {part.training for part in getattr(pl_module.model, name).modules()} for name in PARTS.values()}
        )

    def on_before_zero_grad(self, trainer: Any, pl_module: L.LightningModule, optimizer: Any) -> None:
        gradients = [p.grad.flatten() for p in pl_module.parameters() if p.grad is not None]
        if gradients:
            self.norms.append(float(torch.cat(gradients).norm()))


def make_data(checkpoint: Path, meta: Path, folder: Path, *, world: int = 1, rank: int = 0, **options: Any) -> Any:
    return build_here(write_arguments(checkpoint, meta, folder / "data", **options), world=world, rank=rank)


def make_module(checkpoint: Path, *, optim: OptimConfig | None = None, **model: Any) -> SFTModule:
    config, weights = open_checkpoint(checkpoint)
    return SFTModule(config, weights, ModelConfig(str(checkpoint), **model), optim or OptimConfig())


def on_cpu() -> SingleStrategy:
    return SingleStrategy(torch.device("cpu"))


def fit(
    checkpoint: Path, meta: Path, folder: Path, *, optim: OptimConfig | None = None, **model: Any
) -> tuple[SFTModule, Watcher]:
    """Three steps without anything of `train.run`."""
    module = make_module(checkpoint, optim=optim or OptimConfig(learning_rate=1e-2), **model)
    data = make_data(checkpoint, meta, folder, max_steps=3)
    watcher = Watcher()
    trainer = L.Trainer(
        strategy=on_cpu(),
        max_steps=3,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=watcher,
    )
    trainer.fit(module, datamodule=data)
    return module, watcher


def make_part(checkpoint: Path, *, world: int = 1, passes: int = 1, **model: Any) -> SFTModule:
    """A module as it stands on one of several devices, with the counts already those of all."""
    torch.manual_seed(0)
    module = make_module(checkpoint, **model)
    trainer: Any = SimpleNamespace(
        accumulate_grad_batches=passes, world_size=world, strategy=on_cpu(), global_step=0, global_rank=0
    )
    module.trainer = trainer
    module.configure_model()
    logged: Any = module
    logged.logged = {}
    logged.log = lambda name, value, **_: logged.logged.update({name: float(value)})
    return module


def moved_parts(module: SFTModule, watcher: Watcher) -> set[str]:
    changed = {
        name for name, value in module.state_dict().items() if not torch.equal(value.cpu(), watcher.weights[name].cpu())
    }
    return {name.split(".")[1] for name in changed}


def test_a_trainer_with_nothing_but_our_strategy_trains_it(checkpoint, meta, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    module = make_module(checkpoint)
    with without_gpu():
        trainer = L.Trainer(max_steps=2, strategy=on_cpu())
        trainer.fit(module, datamodule=make_data(checkpoint, meta, tmp_path))
    assert trainer.global_step == 2
    assert 0 < float(trainer.callback_metrics["train/loss"]) < 20
    assert (tmp_path / "lightning_logs").is_dir()


def test_every_part_moves_and_trains_when_nothing_is_frozen(checkpoint, meta, tmp_path):
    module, watcher = fit(checkpoint, meta, tmp_path)
    assert moved_parts(module, watcher) == set(PARTS.values())
    assert watcher.modes == [{name: {True} for name in PARTS.values()}] * 3


@pytest.mark.parametrize("option", PARTS)
def test_a_frozen_part_does_not_move_and_stays_in_evaluation_mode(option, checkpoint, meta, tmp_path):
    module, watcher = fit(checkpoint, meta, tmp_path, **{option: True})
    assert moved_parts(module, watcher) == set(PARTS.values()) - {PARTS[option]}
    assert watcher.modes == [{name: {name != PARTS[option]} for name in PARTS.values()}] * 3
    assert not any(parameter.requires_grad for parameter in getattr(module.model, PARTS[option]).parameters())
    module.train()
    assert not any(part.training for part in getattr(module.model, PARTS[option]).modules())


@pytest.mark.parametrize(("frozen", "rate"), [(False, 0.4), (True, 0.0)])
def test_a_frozen_tower_has_no_drop_path(frozen, rate, checkpoint):
    module = make_part(checkpoint, freeze_backbone=frozen, drop_path_rate=0.4)
    assert module.model.config.vision_config.drop_path_rate == rate


def test_everything_frozen_is_refused(checkpoint, meta, tmp_path):
    with pytest.raises(InputError, match=r"^model: expected at least one trainable part, got all frozen; unfreeze one"):
        fit(checkpoint, meta, tmp_path, freeze_backbone=True, freeze_mlp=True, freeze_llm=True)


def test_gradients_are_clipped_though_the_trainer_was_not_told(checkpoint, meta, tmp_path):
    _, free = fit(checkpoint, meta, tmp_path, optim=OptimConfig(max_grad_norm=1e6))
    assert free.norms[0] > 0.5
    _, clipped = fit(checkpoint, meta, tmp_path, optim=OptimConfig(max_grad_norm=0.01))
    assert clipped.norms == [pytest.approx(0.01, rel=1e-3)] * len(clipped.norms)


def test_the_weights_are_loaded_once(checkpoint):
    module = make_part(checkpoint)
    model = module.model
    assert module.weights is None
    module.configure_model()
    assert module.model is model


def test_attention_without_a_gpu_is_that_of_torch(checkpoint):
    with without_gpu():
        module = make_part(checkpoint)
    assert module.model.config.llm_config._attn_implementation == "sdpa"


def gradient(module: SFTModule) -> torch.Tensor:
    return torch.cat([parameter.grad.flatten() for parameter in module.parameters() if parameter.grad is not None])


@pytest.mark.parametrize("weighting", ["token", "sample", "square"])
def test_the_parts_of_a_step_on_all_devices_add_up_to_the_weighted_mean_over_its_tokens(
    weighting, checkpoint, tmp_path
):
    meta = write_meta(tmp_path, mixed_rows(tmp_path, 8))
    options = {"batch_size": 8, "data.loss_reduction": weighting, "data.packing": "false", "max_steps": 1}
    (batch,) = make_data(checkpoint, meta, tmp_path, per_device_batch_size=8, **options).train_dataloader()
    whole = make_part(checkpoint, world=1, passes=1)
    loss = whole.training_step(batch, 0)
    loss.backward()
    assert float(loss.detach()) == whole.logged["train/loss"]
    # The definition, from the logits of every position.
    with torch.no_grad():
        inputs = {name: batch[name] for name in ("input_ids", "pixel_values", "attention_mask", "image_flags")}
        rest = {name: batch[name] for name in ("position_ids", "branch_ids")}
        logits = whole.model(**inputs, **rest).logits
    losses = torch.nn.functional.cross_entropy(logits[:, :-1].transpose(1, 2), batch["labels"][:, 1:], reduction="none")
    weight = batch["loss_weight"].view(torch.float32)[:, 1:] * (batch["labels"][:, 1:] >= 0)
    assert whole.logged["train/loss"] == pytest.approx(float((losses * weight).sum() / weight.sum()), rel=1e-5)

    split = make_part(checkpoint, world=2, passes=2)
    total, logged = 0.0, 0.0
    ranks = [
        list(
            make_data(
                checkpoint, meta, tmp_path, world=2, rank=rank, per_device_batch_size=2, **options
            ).train_dataloader()
        )
        for rank in range(2)
    ]
    counts = Counts.add([batches[0]["counts"].view(torch.float64) for batches in ranks])
    # All but the last, which is of the padding.
    assert torch.allclose(counts[:-1], batch["counts"].view(torch.float64)[:-1], rtol=1e-12)
    for batches in ranks:
        for index, part in enumerate(batches):
            loss = split.training_step({**part, "counts": counts}, index)
            (loss / 4).backward()  # Lightning divides by the passes, and the devices take a mean
            total += float(loss.detach()) / 4
        logged += split.logged["train/loss"]
    expected = whole.logged["train/loss"]
    assert (total, logged) == (pytest.approx(expected, rel=1e-5), pytest.approx(expected, rel=1e-5))
    torch.testing.assert_close(gradient(split), gradient(whole), rtol=1e-4, atol=1e-6)


def test_a_step_without_anything_to_learn_has_no_loss_and_no_gradient(checkpoint, meta, tmp_path):
    (batch, *_) = make_data(checkpoint, meta, tmp_path).train_dataloader()
    nothing = {
        **batch,
        "labels": torch.full_like(batch["labels"], -100),
        "loss_weight": torch.zeros_like(batch["loss_weight"]),
        "counts": Counts(samples=4).to_tensor(),
    }
    module = make_part(checkpoint, world=1, passes=1)
    loss = module.training_step(nothing, 0)
    loss.backward()
    assert float(loss.detach()) == 0.0
    # Every parameter has a gradient all the same: other devices wait for it.
    assert all(parameter.grad is not None for parameter in module.parameters())
    assert float(gradient(module).abs().max()) == 0.0


def test_a_pass_without_anything_to_learn_leaves_the_others_their_share(checkpoint, meta, tmp_path):
    first, second = islice(make_data(checkpoint, meta, tmp_path).train_dataloader(), 2)
    nothing = {
        **second,
        "labels": torch.full_like(second["labels"], -100),
        "loss_weight": torch.zeros_like(second["loss_weight"]),
    }
    alone, both = make_part(checkpoint, world=1, passes=1), make_part(checkpoint, world=1, passes=2)
    expected = float(alone.training_step(first, 0).detach())
    for index, batch in enumerate((first, nothing)):
        both.training_step({**batch, "counts": first["counts"]}, index)
    assert both.logged["train/loss"] == pytest.approx(expected, rel=1e-6)


def test_half_precision_leaves_the_counts_as_they_are(checkpoint, meta, tmp_path):
    seen = []

    class Reader(L.Callback):
        def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
            seen.append(pl_module.counts)

    data = make_data(checkpoint, meta, tmp_path, batch_size=19, max_steps=2)
    expected = [Counts.from_tensor(batch["counts"]) for batch in data.train_dataloader()]
    assert expected[0].tokens > 500  # where a half-precision number has steps of 4
    trainer = L.Trainer(
        strategy=on_cpu(),
        max_steps=2,
        precision="bf16-true",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=Reader(),
    )
    trainer.fit(make_module(checkpoint), datamodule=data)
    assert seen == expected
