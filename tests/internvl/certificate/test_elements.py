"""Numbers of weight files: the order and the names do not matter, every single one does."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from internvl.certificate import elements
from internvl.certificate.elements import add_up, count_elements

STATE = {"one.weight": torch.randn(6, 4), "two.weight": torch.randn(3, 4).bfloat16(), "three": torch.tensor(7.0)}


def write(folder: Path, state: dict[str, Tensor]) -> Path:
    folder.mkdir()
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, folder / "model.safetensors")
    return folder


def test_names_order_and_cuts_do_not_matter(tmp_path):
    whole = count_elements(write(tmp_path / "whole", STATE))
    parts = {"a": STATE["one.weight"][4:], "b": STATE["one.weight"][:4], "c": STATE["two.weight"].flip(0).T}
    again = count_elements(write(tmp_path / "parts", parts | {"d": STATE["three"]}))
    assert whole.counts == {"bfloat16": 12, "float32": 25}
    assert (whole.counts, whole.sums) == (again.counts, again.sums)
    assert (whole.num_tensors, again.num_tensors, whole.num_elements) == (3, 4, 37)


@pytest.mark.parametrize("name", STATE)
def test_the_last_bit_of_one_number_matters(name, tmp_path):
    changed = STATE[name].clone()
    bits = changed.view(-1).view(torch.int16 if changed.dtype == torch.bfloat16 else torch.int32)
    bits[-1] ^= 1
    before = count_elements(write(tmp_path / "before", STATE))
    after = count_elements(write(tmp_path / "after", STATE | {name: changed}))
    assert before.counts == after.counts
    assert before.sums != after.sums


def test_changes_do_not_cancel_and_parts_add_up(monkeypatch):
    assert add_up(torch.tensor([1, 4])) != add_up(torch.tensor([2, 3]))
    values = torch.randn(1000)
    whole = add_up(values)
    assert (add_up(values[:300]) + add_up(values[300:])) % 2**64 == whole
    monkeypatch.setattr(elements, "_AT_ONCE", 64)
    assert add_up(values) == whole


def test_what_is_counted_can_be_limited(tmp_path):
    folder = write(tmp_path / "old", STATE | {"layers.0.rotary_emb.inv_freq": torch.ones(4)})
    whole = count_elements(folder)
    assert whole.num_elements == 37
    limited = count_elements(folder, limit=lambda name: {"one.weight": 2, "three": 0}.get(name))
    assert limited.counts == {"bfloat16": 12, "float32": 8}
    assert limited.sums["float32"] == add_up(STATE["one.weight"][:2])


def test_pickled_files_count_alike(tmp_path):
    torch.save(STATE, tmp_path / "projector.pth")
    assert count_elements(tmp_path / "projector.pth") == count_elements(write(tmp_path / "safe", STATE))
