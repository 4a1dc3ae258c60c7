"""Layers: written whole or not at all, mapped, and never taken for what they are not."""

from __future__ import annotations

import errno
from pathlib import Path

import numpy as np
import pytest

from internvl.errors import InputError
from train.layer import hash_parts, open_layer, probe_file, write_layer

ARRAYS = {"numbers": np.arange(1000), "none": np.empty((0, 2), np.int32)}
NAMES = tuple(ARRAYS)


def test_a_written_layer_is_mapped_with_its_arrays(tmp_path: Path) -> None:
    written = write_layer(tmp_path / "home" / "one", "print", ARRAYS)
    opened = open_layer(tmp_path / "home" / "one", "print", NAMES)
    assert opened is not None
    assert opened.content == written.content
    assert isinstance(opened.arrays["numbers"], np.memmap)
    for name, array in ARRAYS.items():
        assert np.array_equal(opened.arrays[name], array)
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["one"]


def test_the_content_follows_the_arrays(tmp_path: Path) -> None:
    one = write_layer(tmp_path / "one", "print", ARRAYS)
    same = write_layer(tmp_path / "same", "another print", ARRAYS)
    other = write_layer(tmp_path / "other", "print", {**ARRAYS, "numbers": np.arange(1, 1001)})
    assert one.content == same.content != other.content


def test_what_was_made_from_something_else_is_no_layer(tmp_path: Path) -> None:
    write_layer(tmp_path / "one", "print", ARRAYS)
    assert open_layer(tmp_path / "one", "another print", NAMES) is None
    assert open_layer(tmp_path / "none", "print", NAMES) is None
    assert open_layer(tmp_path / "one", "print", (*NAMES, "more")) is None


@pytest.mark.parametrize("name", ["numbers.npy", "meta.json"])
@pytest.mark.parametrize("kept", [0, 20, -2])
def test_a_damaged_file_is_no_layer_and_is_written_anew(tmp_path: Path, name: str, kept: int) -> None:
    write_layer(tmp_path / "one", "print", ARRAYS)
    path = tmp_path / "one" / name
    path.write_bytes(path.read_bytes()[:kept])
    assert open_layer(tmp_path / "one", "print", NAMES) is None
    write_layer(tmp_path / "one", "print", ARRAYS)
    assert open_layer(tmp_path / "one", "print", NAMES) is not None


def test_the_layer_of_a_faster_process_stays(tmp_path: Path) -> None:
    write_layer(tmp_path / "one", "print", ARRAYS)
    before = (tmp_path / "one" / "meta.json").stat().st_ino
    write_layer(tmp_path / "one", "print", ARRAYS)
    assert (tmp_path / "one" / "meta.json").stat().st_ino == before


def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(np, "save", fail)
    with pytest.raises(InputError, match=r"^index: expected a folder with room .*No space left on device.*index_cache"):
        write_layer(tmp_path / "home" / "one", "print", ARRAYS)
    assert list((tmp_path / "home").iterdir()) == []


def test_an_interrupted_write_leaves_no_layer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "save", stop)
    with pytest.raises(KeyboardInterrupt):
        write_layer(tmp_path / "one", "print", ARRAYS)
    assert open_layer(tmp_path / "one", "print", NAMES) is None


def test_a_probe_sees_both_ends_and_the_size(tmp_path: Path) -> None:
    path = tmp_path / "file"
    content = bytes(300_000)
    path.write_bytes(content)
    same = probe_file(path)
    for changed in (b"1" + content[1:], content[:-1] + b"1", content + b"0"):
        path.write_bytes(changed)
        assert probe_file(path) != same


def test_a_hash_keeps_its_parts_apart_and_takes_any_file_name() -> None:
    assert hash_parts("a", "b") != hash_parts("ab")
    assert hash_parts("\udcff") == hash_parts("\udcff")
