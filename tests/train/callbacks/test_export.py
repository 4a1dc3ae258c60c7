"""The export: one whole folder that a kill cannot leave half written, from the first process only."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch

from internvl.folder import check_folder
from internvl.model import load_model
from internvl.processor import InternVLProcessor
from tests.tiny import tiny_model, tiny_processor
from train.callbacks.export import ExportCallback


def make_trainer(is_first: bool) -> tuple[Any, list[str]]:
    barriers: list[str] = []
    trainer = SimpleNamespace(
        is_global_zero=is_first,
        datamodule=SimpleNamespace(processor=tiny_processor()),
        strategy=SimpleNamespace(barrier=barriers.append),
    )
    return trainer, barriers


def test_the_first_process_writes_model_and_tokenizer(tmp_path):
    trainer, barriers = make_trainer(is_first=True)
    model: Any = SimpleNamespace(model=tiny_model())
    ExportCallback(tmp_path / "export").on_fit_end(trainer, model)
    assert check_folder(tmp_path / "export")
    written = load_model(tmp_path / "export").state_dict()
    assert all(torch.equal(written[name], value) for name, value in model.model.state_dict().items())
    assert InternVLProcessor.from_pretrained(tmp_path / "export").stop_id == tiny_processor().stop_id
    assert [path.name for path in tmp_path.iterdir()] == ["export"]
    assert len(barriers) == 1


def test_an_older_export_is_replaced(tmp_path):
    (tmp_path / "export").mkdir()
    (tmp_path / "export" / "stale.txt").touch()
    trainer, _ = make_trainer(is_first=True)
    module: Any = SimpleNamespace(model=tiny_model())
    ExportCallback(tmp_path / "export").on_fit_end(trainer, module)
    assert not (tmp_path / "export" / "stale.txt").exists()


def test_other_processes_only_wait(tmp_path):
    trainer, barriers = make_trainer(is_first=False)
    module: Any = SimpleNamespace(model=None)
    ExportCallback(tmp_path / "export").on_fit_end(trainer, module)
    assert not (tmp_path / "export").exists()
    assert len(barriers) == 1
