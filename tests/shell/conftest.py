"""Copies of the checkout on a machine with and without slurm."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.shell.checkout import PYTHON, RECIPE, ROOT, SHELLS, TOOLS, Checkout, write_program
from tests.tiny_slurm import NoSlurmError, Slurm, start_slurm


@pytest.fixture(scope="session")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slurm]:
    """A real slurm on this machine, where it is installed."""
    try:
        with start_slurm(tmp_path_factory.mktemp("slurm") / "slurm") as running:
            yield running
    except NoSlurmError as error:
        pytest.skip(str(error))


@pytest.fixture(params=SHELLS)
def checkout(request: pytest.FixtureRequest, tmp_path: Path) -> Checkout:
    """A checkout on a machine without slurm."""
    root = tmp_path / "a checkout"
    write_program(root / ".venv" / "bin" / "python", PYTHON)
    (root / "shell").mkdir()
    shutil.copy(ROOT / "shell" / "finetune.sh", root / "shell")
    write_program(root / "shell" / "setup.sh", 'echo "$INTERNVL_PYTHON"\n')
    programs = tmp_path / "programs"
    programs.mkdir()
    for tool in (*TOOLS.split(), "grep", "sort"):
        (programs / tool).symlink_to(shutil.which(tool) or tool)
    caller = tmp_path / "elsewhere"
    caller.mkdir()
    (caller / "my recipe.yaml").write_text(RECIPE)
    return Checkout(request.param, root, caller, programs, tmp_path / "record")


@pytest.fixture
def cluster(checkout: Checkout) -> Checkout:
    """A checkout on a machine with slurm."""
    for name in ("srun", "sbatch"):
        checkout.add(name)
    checkout.add("sinfo", '#!/bin/sh\ncase "$*" in *--partition=known*) echo known ;; esac\n')
    return checkout
