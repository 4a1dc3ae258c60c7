"""The export at the end of a run: of its last checkpoint, by the first process, when the run is finished."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from train.callbacks.export import ExportCallback


def end_run(folder: Path, *, is_first: bool = True, step: int = 10) -> tuple[list[Path], list[str]]:
    """The checkpoints that are exported at the end of a run of ten steps, and the barriers where it waits."""
    for name in ("step-2", "step-10", "step-9"):
        (folder / name).mkdir(exist_ok=True)
        (folder / name / "checkpoint.json").touch()
    (folder / ".step-11.partial").mkdir(exist_ok=True)
    exported: list[Path] = []
    barriers: list[str] = []

    def export(state: Path) -> Path:
        assert barriers == []  # the others wait for it
        exported.append(state)
        return folder / "export"

    trainer: Any = SimpleNamespace(
        is_global_zero=is_first, global_step=step, max_steps=10, strategy=SimpleNamespace(barrier=barriers.append)
    )
    module: Any = None
    ExportCallback(folder, export).on_fit_end(trainer, module)
    return exported, barriers


def test_the_first_process_exports_the_last_checkpoint(tmp_path, capsys):
    exported, barriers = end_run(tmp_path)
    assert exported == [tmp_path / "step-10"]
    assert len(barriers) == 1
    assert capsys.readouterr().out == f"exported: {tmp_path}/export\n"


@pytest.mark.parametrize(("is_first", "step"), [(False, 10), (True, 9)], ids=["another process", "a stopped run"])
def test_nothing_is_exported_by(is_first, step, tmp_path, capsys):
    exported, barriers = end_run(tmp_path, is_first=is_first, step=step)
    assert exported == []
    assert len(barriers) == 1
    assert capsys.readouterr().out == ""


def test_a_run_without_a_checkpoint_of_its_own_exports_the_one_that_it_went_on_from(tmp_path):
    exported: list[Path] = []
    strategy = SimpleNamespace(barrier=lambda _: None)
    start = str(tmp_path / "other" / "step-10")
    trainer: Any = SimpleNamespace(
        is_global_zero=True, global_step=10, max_steps=10, strategy=strategy, ckpt_path=start
    )
    module: Any = None
    ExportCallback(tmp_path / "checkpoints", lambda state: exported.append(state) or state).on_fit_end(trainer, module)
    assert exported == [tmp_path / "other" / "step-10"]
