"""The Lightning module: plain Lightning can train it, frozen parts stay as they are, and gradients are clipped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch

from internvl.errors import InputError
from tests.tiny_run import without_gpu
from train.config import DataConfig, ModelConfig, OptimConfig
from train.data import SFTDataModule
from train.module import SFTModule

# Of Lightning: frozen parts, a run shorter than the interval of its log, and a call of its own that torch deprecates.
pytestmark = pytest.mark.filterwarnings(
    "ignore:.*in eval mode at the start", "ignore:.*smaller than the logging interval", "ignore:.*LeafSpec"
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


def fit(checkpoint: Path, meta: Path, *, optim: OptimConfig | None = None, **model: Any) -> tuple[SFTModule, Watcher]:
    """Three steps without anything of `train.run`."""
    module = SFTModule(ModelConfig(str(checkpoint), **model), optim or OptimConfig(learning_rate=1e-2))
    data = SFTDataModule(DataConfig(str(meta), num_workers=0), batch_size=4, per_device_batch_size=4, max_steps=3)
    watcher = Watcher()
    trainer = L.Trainer(
        accelerator="cpu",
        max_steps=3,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=watcher,
    )
    trainer.fit(module, datamodule=data)
    return module, watcher


def moved_parts(module: SFTModule, watcher: Watcher) -> set[str]:
    changed = {
        name for name, value in module.state_dict().items() if not torch.equal(value.cpu(), watcher.weights[name].cpu())
    }
    return {name.split(".")[1] for name in changed}


def test_plain_lightning_trains_it(checkpoint, meta, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    module = SFTModule(ModelConfig(str(checkpoint)), OptimConfig())
    with without_gpu():
        trainer = L.Trainer(max_steps=2)
        trainer.fit(module, datamodule=SFTDataModule(DataConfig(str(meta)), 4, 2))
    assert trainer.global_step == 2
    assert 0 < float(trainer.callback_metrics["train/loss"]) < 20
    assert (tmp_path / "lightning_logs").is_dir()


def test_every_part_moves_and_trains_when_nothing_is_frozen(checkpoint, meta):
    module, watcher = fit(checkpoint, meta)
    assert moved_parts(module, watcher) == set(PARTS.values())
    assert watcher.modes == [{name: {True} for name in PARTS.values()}] * 3


@pytest.mark.parametrize("option", PARTS)
def test_a_frozen_part_does_not_move_and_stays_in_evaluation_mode(option, checkpoint, meta):
    module, watcher = fit(checkpoint, meta, **{option: True})
    assert moved_parts(module, watcher) == set(PARTS.values()) - {PARTS[option]}
    assert watcher.modes == [{name: {name != PARTS[option]} for name in PARTS.values()}] * 3
    assert not any(parameter.requires_grad for parameter in getattr(module.model, PARTS[option]).parameters())
    module.train()
    assert not any(part.training for part in getattr(module.model, PARTS[option]).modules())


@pytest.mark.parametrize(("frozen", "rate"), [(False, 0.4), (True, 0.0)])
def test_a_frozen_tower_has_no_drop_path(frozen, rate, checkpoint):
    module = SFTModule(ModelConfig(str(checkpoint), freeze_backbone=frozen, drop_path_rate=0.4), OptimConfig())
    module.configure_model()
    assert module.model.config.vision_config.drop_path_rate == rate


def test_everything_frozen_is_refused(checkpoint, meta):
    with pytest.raises(InputError, match=r"^model: expected at least one trainable part, got all frozen; unfreeze one"):
        fit(checkpoint, meta, freeze_backbone=True, freeze_mlp=True, freeze_llm=True)


def test_gradients_are_clipped_though_the_trainer_was_not_told(checkpoint, meta):
    _, free = fit(checkpoint, meta, optim=OptimConfig(max_grad_norm=1e6))
    assert free.norms[0] > 0.5
    _, clipped = fit(checkpoint, meta, optim=OptimConfig(max_grad_norm=0.01))
    assert clipped.norms == [pytest.approx(0.01, rel=1e-3)] * len(clipped.norms)


def test_the_weights_are_loaded_once(checkpoint):
    module = SFTModule(ModelConfig(str(checkpoint)), OptimConfig())
    assert not hasattr(module, "model")
    module.configure_model()
    model = module.model
    module.configure_model()
    assert module.model is model


def test_attention_without_a_gpu_is_that_of_torch(checkpoint):
    module = SFTModule(ModelConfig(str(checkpoint)), OptimConfig())
    with without_gpu():
        module.configure_model()
    assert module.model.config.llm_config._attn_implementation == "sdpa"


def test_a_wrong_row_ends_the_run_with_its_message(checkpoint, meta, tmp_path):
    lines = (meta.parent / "rows.jsonl").read_text().splitlines()
    (tmp_path / "rows.jsonl").write_text("\n".join([*lines[:11], '{"image": "0.png"}']))
    entry = meta.read_text().replace(str(meta.parent / "rows.jsonl"), str(tmp_path / "rows.jsonl"))
    (tmp_path / "meta.json").write_text(entry)
    with pytest.raises(InputError, match=rf"^{tmp_path}/rows\.jsonl:12: expected `conversations`"):
        fit(checkpoint, tmp_path / "meta.json")
