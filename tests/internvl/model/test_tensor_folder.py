"""Weight files: any range of any tensor is the same slice of the whole, in files of every kind; damage is named."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from math import prod
from pathlib import Path
from random import Random

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from internvl.errors import InputError
from internvl.model.tensor_folder import TensorFolder
from internvl.model.tensors import TensorSource

SHAPES = {"number": (), "row": (5,), "matrix": (3, 4), "cube": (2, 3, 4), "none": (0,), "no_rows": (0, 4)}
SHAPES |= {"no_columns": (3, 0), "one": (1,), "column": (5, 1)}
HEADS = {"num_heads": 4, "num_kv_heads": 2}


def make_state(
    shapes: dict[str, tuple[int, ...]], seed: int = 0, dtype: torch.dtype = torch.float32
) -> dict[str, Tensor]:
    """Every element of every tensor is another number."""
    first = 1000 * seed
    state = {}
    for name, shape in shapes.items():
        state[name] = torch.arange(first, first + prod(shape)).to(dtype).reshape(shape)
        first += prod(shape)
    return state


def write_folder(folder: Path, state: dict[str, Tensor], shards: int = 1) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    if shards == 1:
        save_file(state, folder / "model.safetensors")
        return folder
    weight_map: dict[str, str] = {}
    for number in range(shards):
        part = dict(list(state.items())[number::shards])
        save_file(part, folder / f"model-{number}.safetensors")
        weight_map |= dict.fromkeys(part, f"model-{number}.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    return folder


def check_ranges(source: TensorSource, state: dict[str, Tensor]) -> None:
    """Every range of every tensor, and what the defaults mean."""
    assert dict(source.shapes) == {name: tuple(tensor.shape) for name, tensor in state.items()}
    for name, tensor in state.items():
        flat = tensor.flatten()
        assert torch.equal(source.read(name), flat)
        for start in range(len(flat) + 1):
            assert torch.equal(source.read(name, start), flat[start:])
            for stop in range(start, len(flat) + 1):
                part = source.read(name, start, stop)
                assert part.dtype == tensor.dtype
                assert torch.equal(part, flat[start:stop]), (name, start, stop)


@pytest.mark.parametrize("shards", [1, 2, 4])
def test_any_range_of_a_folder_is_the_slice_of_the_whole(shards, tmp_path):
    state = make_state(SHAPES)
    check_ranges(TensorFolder(write_folder(tmp_path, state, shards)), state)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.int64])
def test_the_stored_type_stays(dtype, tmp_path):
    state = make_state({"cube": (2, 3, 4), "number": ()}, dtype=dtype)
    check_ranges(TensorFolder(write_folder(tmp_path, state)), state)


def test_random_shapes_and_ranges(tmp_path):
    random = Random(0)
    shapes = {f"tensor {i}": tuple(random.randint(1, 7) for _ in range(random.randint(1, 4))) for i in range(40)}
    state = make_state(shapes)
    source = TensorFolder(write_folder(tmp_path, state, 3))
    for name, tensor in state.items():
        flat = tensor.flatten()
        for _ in range(20):
            start, stop = sorted(random.choices(range(len(flat) + 1), k=2))
            assert torch.equal(source.read(name, start, stop), flat[start:stop]), (name, start, stop)


def test_what_was_read_of_a_folder_does_not_change_it(tmp_path):
    state = make_state(SHAPES)
    source = TensorFolder(write_folder(tmp_path, state))
    source.read("cube").zero_()
    source.read("cube", 3, 9).zero_()
    check_ranges(source, state)
    assert torch.equal(load_file(tmp_path / "model.safetensors")["cube"], state["cube"])


def cut(folder: Path) -> None:
    path = folder / "model-1.safetensors"
    path.write_bytes(path.read_bytes()[:-4])


def cut_head(folder: Path) -> None:
    path = folder / "model-1.safetensors"
    path.write_bytes(path.read_bytes()[:20])


def empty(folder: Path) -> None:
    (folder / "model-1.safetensors").write_bytes(b"")


def scribble(folder: Path) -> None:
    (folder / "model-1.safetensors").write_bytes(bytes(range(256)) * 8)


def lose(folder: Path) -> None:
    (folder / "model-1.safetensors").unlink()


def lose_all(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()


def index_with(text: str) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        (folder / "model.safetensors.index.json").write_text(text)

    return damage


@pytest.mark.parametrize(
    "damage",
    [
        *(cut, cut_head, empty, scribble, lose, lose_all),
        *map(index_with, ["{", "[]", "{}", '{"weight_map": 3}', '{"weight_map": {"row": 3}}', "null"]),
    ],
)
def test_a_damaged_folder_is_named_in_one_line(damage, tmp_path):
    folder = write_folder(tmp_path, make_state(SHAPES), 2)
    damage(folder)
    expected = rf"^checkpoint: expected .* in {re.escape(str(folder))}.*; (copy|download) (the folder|it) again$"
    with pytest.raises(InputError, match=expected) as caught:
        TensorFolder(folder)
    assert "\n" not in str(caught.value)


def write_pickles(folder: Path, state: dict[str, Tensor], shards: int = 1, *, zipped: bool = True) -> Path:
    """What `torch.save` makes of it, in the files that transformers wrote before safetensors."""
    names = [f"pytorch_model-{number + 1:05d}-of-{shards:05d}.bin" for number in range(shards)]
    names = ["pytorch_model.bin"] if shards == 1 else names
    weight_map: dict[str, str] = {}
    for number, name in enumerate(names):
        part = dict(list(state.items())[number::shards])
        torch.save(part, folder / name, _use_new_zipfile_serialization=zipped)
        weight_map |= dict.fromkeys(part, name)
    if shards > 1:
        (folder / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": weight_map}))
    return folder


@pytest.mark.parametrize(("shards", "zipped"), [(1, True), (3, True), (1, False)])
def test_any_range_of_a_pickled_folder_is_the_slice_of_the_whole(shards, zipped, tmp_path):
    state = make_state(SHAPES) | {"turned": torch.arange(12.0).view(3, 4).T}
    check_ranges(TensorFolder(write_pickles(tmp_path, state, shards, zipped=zipped)), state)


def test_a_pickle_that_would_run_code_is_refused(tmp_path):
    class Trap:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (tmp_path / "touched",))

    torch.save({"row": torch.ones(2), "trap": Trap()}, tmp_path / "pytorch_model.bin")
    with pytest.raises(
        InputError, match=r"^checkpoint: expected readable weights in .*; copy the folder again$"
    ) as caught:
        TensorFolder(tmp_path)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "touched").exists()


def test_every_tensor_is_there_once_and_all_of_the_index(tmp_path):
    folder = write_folder(tmp_path, make_state(SHAPES), 2)
    index = folder / "model.safetensors.index.json"
    values = json.loads(index.read_text())
    values["weight_map"]["lost"] = "model-0.safetensors"
    index.write_text(json.dumps(values))
    with pytest.raises(InputError, match=r"expected all tensors of the index in .*, got none for 1 \(lost\)"):
        TensorFolder(folder)
    save_file({"cube": torch.ones(2), "more": torch.ones(1)}, folder / "model-0.safetensors")
    del values["weight_map"]["lost"]
    index.write_text(json.dumps({"weight_map": {**values["weight_map"], "more": "model-0.safetensors"}}))
    with pytest.raises(InputError, match=r"expected every tensor once in .*, got \w+ in two files"):
        TensorFolder(write_folder(tmp_path / "again", {"cube": torch.ones(2)}) and folder)


def test_numbers_of_an_unknown_type_are_named(tmp_path):
    head = json.dumps({"row": {"dtype": "F4", "shape": [4], "data_offsets": [0, 2]}}).encode()
    (tmp_path / "model.safetensors").write_bytes(len(head).to_bytes(8, "little") + head + bytes(2))
    with pytest.raises(
        InputError, match=r"^checkpoint: expected (numbers of a known type for row|readable weights) in"
    ):
        TensorFolder(tmp_path)
