"""The start of a spread model: no process ever holds the whole of it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tiny_run import ROOT, color_rows, write_arguments, write_meta, write_tiny_scratch

pytestmark = [pytest.mark.slow, pytest.mark.dist]

WIDE = {
    "hidden_size": 1024,
    "num_hidden_layers": 8,
    "num_attention_heads": 8,
    "num_key_value_heads": 8,
    "intermediate_size": 3072,
}


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of some 400 MB."""
    return write_tiny_scratch(tmp_path_factory.mktemp("wide") / "model", language=WIDE)


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rows")
    return write_meta(folder, color_rows(folder, 8))


def start(wide: Path, rows: Path, folder: Path, strategy: str, devices: int) -> list[int]:
    """Bytes by which every process grew while it made and filled the model."""
    arguments = write_arguments(wide, rows, folder, strategy=strategy, devices=devices)
    done = subprocess.run(
        [sys.executable, "tests/train/start_and_measure.py", *arguments],
        cwd=ROOT,
        # Freed tensors go back to the system at once, as those of a large model do anyway.
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1", "MALLOC_MMAP_THRESHOLD_": "65536"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [int(path.read_text()) for path in sorted(folder.glob("memory-*"))]


def test_a_process_needs_the_memory_of_its_part(wide, rows, tmp_path):
    size = (wide / "model.safetensors").stat().st_size
    assert size > 4e8
    (whole,) = start(wide, rows, tmp_path / "single", "single", 1)
    assert whole > 0.9 * size, "the measure sees the model"
    # One layer is 59 MB, and is whole for a moment where it is made or read.
    for strategy in ("fsdp2", "zero3"):
        parts = start(wide, rows, tmp_path / strategy, strategy, 2)
        assert len(parts) == 2
        assert max(parts) < 0.5 * size + 1.2e8, (strategy, parts)
