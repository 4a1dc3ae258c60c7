"""Whole checkpoints answer the probes: transformers' own class says what ours says, and memory decides how."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from internvl.certificate import models
from internvl.certificate.comparison import compare
from internvl.certificate.models import (
    Precision,
    answer_native,
    answer_ours,
    choose_precision,
    count_parameters,
    free_memory,
    place,
    release,
    round_parameters,
)
from internvl.certificate.probe import Answers
from internvl.errors import InputError
from internvl.model import load_model
from internvl.processor import InternVLProcessor
from tests.tiny import tiny_checkpoint
from tests.tiny_native import write_native

HERE = Precision(torch.float32, torch.device("cpu"))
TILING = {"dynamic_image_size": True, "use_thumbnail": True}
WEIGHTS = "model.safetensors"


@pytest.fixture(scope="module")
def chat(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_checkpoint(tmp_path_factory.mktemp("chat"), "qwen2", **TILING)


@pytest.fixture(scope="module")
def expected(chat: Path) -> Answers:
    return answer_ours(chat, HERE)


@pytest.fixture
def native(chat: Path, tmp_path: Path) -> Path:
    (tmp_path / "native").mkdir()
    write_native(tmp_path / "native", load_model(chat), InternVLProcessor.from_pretrained(chat))
    return tmp_path / "native"


def test_transformers_says_the_same(native, expected):
    theirs = answer_native(native, HERE, given=expected)
    comparison = compare(expected, theirs)
    assert comparison.reasons == ()
    assert (comparison.same_prompts, comparison.same_texts, comparison.num_distinct) == ("8/8", "8/8", 8)
    assert theirs.implementation != expected.implementation
    assert theirs.answers[1].pixel_values.shape == (3, 3, 56, 56)
    # Where nothing is resized, the pixels are the same; elsewhere by a byte.
    differences = [each.pixel_difference for each in comparison.probes]
    assert differences[0] < 1e-6
    assert 0 < differences[3] < 0.05
    # Read by our own reader it is the same too.
    assert compare(expected, answer_ours(native, HERE)).reasons == ()


@pytest.mark.parametrize("lost", [True, False], ids=["lost", "new"])
def test_transformers_must_use_every_tensor(lost, native):
    state = load_file(native / WEIGHTS)
    name = "vision_tower.encoder.layer.1.attention.q_norm.weight"
    if lost:
        del state[name]
    else:
        state["vision_tower.more.weight"] = state[name].clone()
    save_file(state, native / WEIGHTS, metadata={"format": "pt"})
    with pytest.raises(InputError, match="1 missing_keys" if lost else "1 unexpected_keys"):
        answer_native(native, HERE)


def test_rounding_by_itself_is_what_another_type_does(chat, native, expected):
    types = {name: torch.bfloat16 for name, _ in load_model(chat).named_parameters()}
    rounded = answer_ours(chat, HERE, rounded=[types])
    assert compare(expected, rounded).max_difference > 1e-3
    assert compare(rounded, answer_native(native, HERE, rounded=[types], given=rounded)).reasons == ()
    state = {name: tensor.bfloat16() for name, tensor in load_file(native / WEIGHTS).items()}
    save_file(state, native / WEIGHTS, metadata={"format": "pt"})
    assert compare(rounded, answer_native(native, HERE, given=rounded)).reasons == ()


def test_parameters_keep_their_type_and_those_without_one_their_numbers():
    layer = torch.nn.Linear(8, 8)
    before = {name: parameter.data.clone() for name, parameter in layer.named_parameters()}
    round_parameters(layer, [{"weight": torch.bfloat16}, {"weight": torch.float32}])
    assert layer.weight.dtype == torch.float32
    assert torch.equal(layer.weight.data, before["weight"].bfloat16().float())
    assert not torch.equal(layer.weight.data, before["weight"])
    assert torch.equal(layer.bias.data, before["bias"])


def test_it_computes_in_other_types(chat, expected):
    coarse = answer_ours(chat, Precision(torch.bfloat16, torch.device("cpu")))
    assert (coarse.dtype, coarse.answers[0].values.dtype) == (torch.bfloat16, torch.float32)
    assert 1e-3 < compare(expected, coarse).max_relative < 0.05


def test_a_released_model_holds_no_memory():
    layer = torch.nn.Linear(8, 8)
    place(layer, HERE)
    release(layer)
    assert layer.weight.is_meta


def test_memory_decides(monkeypatch, chat):
    assert 0 < free_memory() < 2**50
    assert count_parameters(chat) == sum(tensor.numel() for tensor in load_file(chat / WEIGHTS).values())
    monkeypatch.setattr(models, "free_memory", lambda: 8000)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_precision(1000) == HERE
    assert choose_precision(1001).dtype == torch.bfloat16
    assert choose_precision(1001, torch.float32).dtype == torch.float32
    assert choose_precision(1000, device="meta").device.type == "meta"
    with pytest.raises(InputError, match="of free memory to load one side"):
        choose_precision(4001)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (2_000_000_000, 0))
    assert choose_precision(1000).device.type == "cuda"
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (1_000_000_000, 0))
    assert choose_precision(1000).device.type == "cpu"
