"""One untrained checkpoint and one finished run for all tests of the training application."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tiny_run import FinishedRun, color_rows, train_here, write_arguments, write_meta, write_tiny_scratch


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained model of one vision and one language layer."""
    return write_tiny_scratch(tmp_path_factory.mktemp("checkpoint") / "model")


@pytest.fixture(scope="session")
def meta(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty rows with one picture each."""
    folder = tmp_path_factory.mktemp("colors")
    return write_meta(folder, color_rows(folder))


@pytest.fixture(scope="session")
def finished_run(checkpoint: Path, meta: Path, tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    """Thirty steps of four rows, six times through the data, with a checkpoint every ten steps."""
    folder = tmp_path_factory.mktemp("run") / "finished"
    arguments = write_arguments(checkpoint, meta, folder, max_steps=30, save_steps=10, save_total_limit=9)
    return FinishedRun(folder, arguments, train_here(arguments), meta)
