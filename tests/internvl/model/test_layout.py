"""Folders in every layout load to the same model; what a folder holds beside it is used or named."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from internvl.errors import InputError
from internvl.folder import check_folder
from internvl.model import load_model
from internvl.model.checkpoint import save_checkpoint
from tests.internvl.model.test_adapters import RANKS, wrap
from tests.internvl.model.test_checkpoint import WEIGHTS, change_config, change_weights, check_equal
from tests.internvl.model.test_internlm2 import to_internlm2
from tests.internvl.model.test_tensor_folder import write_pickles
from tests.tiny import tiny_checkpoint, tiny_model, tiny_processor


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tiny_checkpoint(tmp_path / "model")


def pickle(folder: Path, shards: int) -> None:
    state = load_file(folder / WEIGHTS)
    (folder / WEIGHTS).unlink()
    write_pickles(folder, state, shards)


@pytest.mark.parametrize("shards", [1, 3])
def test_a_folder_with_pickled_weights_loads(shards, folder):
    expected = load_model(folder).state_dict()
    pickle(folder, shards)
    assert check_folder(folder) == folder
    check_equal(load_model(folder).state_dict(), expected)


def write_wrapped(folder: Path, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    """A checkpoint that was saved with its adapters; what peft merges it to."""
    saved, expected = wrap(dtype)
    save_checkpoint(folder, tiny_model().to(dtype), tiny_processor())
    save_file(saved, folder / WEIGHTS, metadata={"format": "pt"})
    change_config(folder, use_backbone_lora=RANKS["vision_model"], use_llm_lora=RANKS["language_model"])
    return expected


def test_a_folder_with_adapters_loads_merged(tmp_path):
    expected = write_wrapped(tmp_path / "model")
    model = load_model(tmp_path / "model")
    assert model.config.use_llm_lora == model.config.use_backbone_lora == 0
    state = dict(model.named_parameters())
    assert state.keys() == expected.keys()
    for name, tensor in expected.items():
        torch.testing.assert_close(state[name].data, tensor, rtol=1e-6, atol=1e-6)


def test_an_internlm2_with_adapters_is_merged_before_its_rows_are_regrouped(tmp_path):
    folder = tiny_checkpoint(tmp_path / "model")
    state = to_internlm2(load_file(folder / WEIGHTS), 2, 1)
    name = "language_model.model.layers.0.attention.wqkv.weight"
    torch.manual_seed(3)
    rows, width = state[name].shape
    halves = {"A": torch.randn(4, width), "B": torch.randn(rows, 4)}
    merged = state | {name: state[name] + 2 * halves["B"] @ halves["A"]}
    wrapped = {n.replace("language_model.", "language_model.base_model.model."): t for n, t in state.items()}
    inner = name.replace("language_model.", "language_model.base_model.model.").removesuffix(".weight")
    wrapped[f"{inner}.base_layer.weight"] = wrapped.pop(f"{inner}.weight")
    wrapped |= {f"{inner}.lora_{letter}.default.weight": half for letter, half in halves.items()}
    loaded = []
    for stored, rank in ((merged, 0), (wrapped, 4)):
        save_file({n: t.contiguous() for n, t in stored.items()}, folder / WEIGHTS, metadata={"format": "pt"})
        change_config(folder, use_llm_lora=rank)
        loaded.append(load_model(folder).state_dict())
    for key, tensor in loaded[0].items():
        torch.testing.assert_close(loaded[1][key], tensor)
    attention = "language_model.model.layers.0.self_attn.k_proj.weight"
    assert not torch.equal(
        loaded[0][attention], load_model(tiny_checkpoint(tmp_path / "plain")).state_dict()[attention]
    )


def test_frequencies_that_follow_from_the_configuration_are_left_out(folder):
    expected = load_model(folder).state_dict()
    change_weights(
        folder,
        lambda state: state.update(
            {f"language_model.model.layers.{n}.self_attn.rotary_emb.inv_freq": torch.ones(8) for n in range(2)}
        ),
    )
    check_equal(load_model(folder).state_dict(), expected)


def quantise(state: dict[str, Tensor]) -> None:
    state["mlp1.1.weight"] = state["mlp1.1.weight"].to(torch.int8)


def add_queries(state: dict[str, Tensor]) -> None:
    state["internvl.query_tokens"] = torch.ones(1, 96, 4)


def add_row(state: dict[str, Tensor]) -> None:
    name = "language_model.model.embed_tokens.weight"
    state[name] = torch.cat([state[name], state[name][:1]])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (quantise, r"expected floating-point weights in .*, got 1 of other types \(mlp1.1.weight is int8\); use the"),
        (add_queries, r"got one with QLLaMA \(internvl.query_tokens\).*; use OpenGVLab/InternVL-Chat-V1-2 or later$"),
        (add_row, r"1 of another shape \(language_model.model.embed_tokens.weight: .1001, 32. for .1000, 32.\)"),
    ],
)
def test_weights_of_another_kind_are_named_in_one_line(
    damage: Callable[[dict[str, Tensor]], None], message: str, folder: Path
):
    change_weights(folder, damage)
    with pytest.raises(InputError, match=message) as caught:
        load_model(folder)
    assert "\n" not in str(caught.value)
    assert re.search(re.escape(str(folder)), str(caught.value))


def test_adapters_that_are_told_and_not_there_are_missed(folder):
    change_config(folder, use_llm_lora=16)
    with pytest.raises(
        InputError, match=r"^use_llm_lora: expected adapters of rank 16 in the weights of .*, got none; w"
    ):
        load_model(folder)
