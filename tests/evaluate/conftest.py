"""A tiny checkpoint for the tests of the evaluation application."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose model gives other texts for other pictures and questions."""
    from tests.tiny import tiny_checkpoint  # only here: most tests of this folder do not need torch

    return tiny_checkpoint(tmp_path_factory.mktemp("models") / "tiny" / "wide")
