"""Checkpoint folders in the making: files of bounded size with their index, and a folder replaced at once or not."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from random import Random

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor
from transformers import AutoModelForCausalLM, LlamaConfig

from internvl.errors import InputError, MissingError
from internvl.model import shards
from internvl.model.shards import ShardWriter, replace_folder
from internvl.model.tensor_folder import TensorFolder

INDEX = "model.safetensors.index.json"


def write(folder: Path, state: dict[str, Tensor], max_bytes: int) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    writer = ShardWriter(folder, max_bytes)
    for name, tensor in state.items():
        writer.add(name, tensor)
    writer.finish()
    return folder


def count_bytes(state: dict[str, Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in state.values())


def check_equal(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> None:
    assert ours.keys() == theirs.keys()
    assert [name for name in theirs if not torch.equal(ours[name], theirs[name])] == []
    assert [name for name in theirs if ours[name].dtype != theirs[name].dtype] == []


@pytest.mark.parametrize("seed", range(8))
def test_files_are_bounded_and_the_index_is_right(seed, tmp_path):
    random = Random(seed)
    types = [torch.float32, torch.bfloat16, torch.int64]
    state = {
        f"tensor {number}": torch.arange(random.randint(0, 60)).to(random.choice(types))
        for number in range(random.randint(3, 40))
    } | {"number": torch.tensor(3.0), "large": torch.ones(20, 20)}
    folder = write(tmp_path, state, 400)
    index = json.loads((folder / INDEX).read_text())
    assert index["metadata"] == {"total_size": count_bytes(state)}
    files = sorted(set(index["weight_map"].values()))
    assert sorted(path.name for path in folder.iterdir()) == [*files, INDEX]
    assert files == [f"model-{number + 1:05d}-of-{len(files):05d}.safetensors" for number in range(len(files))]
    stored = {file: load_file(folder / file) for file in files}
    assert {name: file for file, part in stored.items() for name in part} == index["weight_map"]
    check_equal({name: tensor for part in stored.values() for name, tensor in part.items()}, state)
    # A file is too large only where one tensor is.
    assert all(count_bytes(part) <= 400 or len(part) == 1 for part in stored.values())
    source = TensorFolder(folder)
    check_equal({name: source.read(name).view(source.shapes[name]) for name in source.shapes}, state)


def test_what_fits_is_one_file_without_an_index(tmp_path):
    state = {"one": torch.ones(10), "two": torch.zeros(10)}
    assert [path.name for path in write(tmp_path, state, 80).iterdir()] == ["model.safetensors"]
    check_equal(load_file(tmp_path / "model.safetensors"), state)


def test_nothing_is_an_empty_file(tmp_path):
    write(tmp_path, {}, 80)
    assert load_file(tmp_path / "model.safetensors") == {}


def test_views_and_turned_tensors_are_written_as_they_look(tmp_path):
    whole = torch.arange(24.0).reshape(4, 6)
    state = {"turned": whole.T, "rows": whole[1:3], "more rows": whole[3:], "column": whole[:, 2]}
    write(tmp_path, state, 10_000)
    check_equal(load_file(tmp_path / "model.safetensors"), state)


def test_parts_of_one_file_are_written_to_another(tmp_path):
    state = {"one": torch.arange(24.0).reshape(4, 6), "two": torch.arange(5)}
    source = TensorFolder(write(tmp_path / "one", state, 10_000))
    parts = {"rows": source.read("one", 6, 18), "all": source.read("one"), "two": source.read("two")}
    write(tmp_path / "two", parts, 10_000)
    expected = {"rows": state["one"].flatten()[6:18], "all": state["one"].flatten(), "two": state["two"]}
    check_equal(load_file(tmp_path / "two" / "model.safetensors"), expected)


def test_transformers_reads_the_shards(tmp_path):
    config = LlamaConfig(
        vocab_size=50, hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2
    )
    model = AutoModelForCausalLM.from_config(config)
    folder = write(tmp_path, model.state_dict(), 4000)
    assert len(list(folder.glob("*.safetensors"))) > 3
    config.save_pretrained(folder)
    again, report = AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True)
    assert not any(report.values())
    check_equal(again.state_dict(), model.state_dict())


def test_a_file_is_written_as_soon_as_it_is_full(tmp_path):
    writer = ShardWriter(tmp_path, 100)
    sizes = []
    for number in range(6):
        writer.add(str(number), torch.ones(12))
        sizes.append(len(list(tmp_path.iterdir())))
    assert sizes == [0, 0, 1, 1, 2, 2]


def fill(folder: Path, word: str) -> None:
    for name in ("one", "two"):
        (folder / name).write_text(word)


def read(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()} if folder.is_dir() else {}


OLD, NEW = ({"one": word, "two": word} for word in ("old", "new"))


@pytest.mark.parametrize("exchange", [True, False])
def test_a_folder_is_replaced_and_nothing_is_left_beside_it(exchange, tmp_path, monkeypatch):
    if not exchange:
        monkeypatch.setattr(shards, "_exchange", lambda one, other: False)
    folder = tmp_path / "deep" / "model"
    for word in ("old", "new"):
        with replace_folder(folder) as partial:
            assert list(partial.iterdir()) == []
            fill(partial, word)
            assert read(folder) == ({} if word == "old" else OLD)
        assert read(folder) == {"one": word, "two": word}
        assert [path.name for path in folder.parent.iterdir()] == ["model"]


def test_a_linked_folder_stays_a_link(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "model").symlink_to(tmp_path / "disk")
    with replace_folder(tmp_path / "model") as partial:
        fill(partial, "new")
    assert (tmp_path / "model").is_symlink()
    assert read(tmp_path / "disk") == NEW
    assert sorted(path.name for path in tmp_path.iterdir()) == ["disk", "model"]


def replace_and_fail(folder: Path, error: type[BaseException]) -> None:
    with replace_folder(folder) as partial:
        fill(partial, "new")
        raise error


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError, SystemExit])
def test_an_error_leaves_the_old_folder_and_no_half_of_the_new_one(error, tmp_path):
    folder = tmp_path / "model"
    for expected in ({}, OLD):
        with pytest.raises(error):
            replace_and_fail(folder, error)
        assert read(folder) == expected
        assert [path.name for path in tmp_path.iterdir()] == (["model"] if expected else [])
        folder.mkdir(exist_ok=True)
        fill(folder, "old")


def replace_until(folder: Path, last: int) -> bool:
    """Replace the folder in a process that is gone before its n-th call to the system; whether it came to its end."""
    child = os.fork()
    if child == 0:
        left = last

        def count(event: str, _: object) -> None:
            nonlocal left
            left -= 1
            if left < 0:
                os._exit(9)

        sys.addaudithook(count)
        with replace_folder(folder) as partial:
            fill(partial, "new")
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.parametrize("exchange", [True, False])
def test_a_kill_at_any_moment_leaves_one_whole_folder(exchange, tmp_path, monkeypatch):
    if not exchange:
        monkeypatch.setattr(shards, "_exchange", lambda one, other: False)
    else:
        for name in ("one", "other"):
            (tmp_path / name).mkdir()
        if not shards._exchange(tmp_path / "one", tmp_path / "other"):
            pytest.skip("folders cannot be exchanged here")
        (tmp_path / "one").rmdir()
        (tmp_path / "other").rmdir()
    folder = tmp_path / "model"
    seen = []
    for last in range(1000):
        folder.mkdir(exist_ok=True)
        fill(folder, "old")
        done = replace_until(folder, last)
        seen.append(read(folder))
        if done:
            break
        # Whatever was left behind, the next call works and leaves nothing.
        with replace_folder(folder) as partial:
            if not seen[-1]:
                assert read(folder) == OLD
            fill(partial, "new")
        assert [path.name for path in tmp_path.iterdir()] == ["model"]
        assert read(folder) == NEW
    assert len(seen) > 8
    assert seen[0] == OLD
    assert seen[-1] == NEW
    # Where folders cannot be exchanged there is one moment without one; the next call has put it back.
    assert all(files in (OLD, NEW, {}) for files in seen)
    assert ({} in seen) is not exchange


def test_a_place_that_cannot_be_written_is_the_mistake_of_the_user(tmp_path):
    (tmp_path / "file").touch()
    refused = pytest.raises(
        InputError, match=r"^output: expected a place .*, got .*file/model, .*(Not a directory|File exists)"
    )
    with refused, replace_folder(tmp_path / "file" / "model"):
        raise AssertionError("there is no such place")
    for error in (OSError(28, "No space left"), SafetensorError("I/O error: No space left on device (os error 28)")):
        with pytest.raises(InputError, match=r"^output: .*/model, .*No space left"), replace_folder(tmp_path / "model"):
            raise error
    with pytest.raises(MissingError, match=r"^source: lost$"), replace_folder(tmp_path / "model"):
        raise MissingError("source: lost")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_second_writer_is_refused_and_the_first_goes_on(tmp_path):
    with replace_folder(tmp_path / "model") as partial:
        (partial / "first").touch()
        refused = pytest.raises(InputError, match=r"^output: expected one process that writes .*/model, got another")
        with refused, replace_folder(tmp_path / "model"):
            raise AssertionError("two writers")
        with replace_folder(tmp_path / "beside") as other:
            (other / "other").touch()
    assert [path.name for path in (tmp_path / "model").iterdir()] == ["first"]
    with replace_folder(tmp_path / "model") as partial:
        (partial / "second").touch()
    assert [path.name for path in (tmp_path / "model").iterdir()] == ["second"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["beside", "model"]
