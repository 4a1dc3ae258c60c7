"""Fingerprints of model folders; that every tensor counts is tested with the adapter of checkpoints."""

from __future__ import annotations

from pathlib import Path

import pytest

from evaluate.fingerprint import identify_files, name_results
from internvl.errors import InputError


def test_every_byte_of_a_small_file_counts(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text("{}")
    before = identify_files([file], [])
    file.write_text("{ }")
    assert identify_files([file], []) != before


def test_name_and_length_of_a_file_with_weights_count(tmp_path: Path) -> None:
    found = set()
    for name, size in (("a.bin", 10_000), ("a.bin", 10_001), ("b.bin", 10_000)):
        (tmp_path / name).write_bytes(b"x" * size)
        found.add(identify_files([], [tmp_path / name]))
    assert len(found) == 3


def test_a_pointer_is_no_file_with_weights(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1")
    with pytest.raises(InputError, match="expected safetensors weights"):
        identify_files([], [tmp_path / "model.safetensors"])


def test_name_of_the_results(tmp_path: Path) -> None:
    assert name_results("hub:owner/tiny@v1", tmp_path) == "owner_tiny_v1"
    assert name_results("x", tmp_path / "mine" / "export") == "mine"
    assert name_results("x", tmp_path / "work_dirs" / "mine") == "mine"
