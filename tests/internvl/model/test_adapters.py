"""Folders with LoRA adapters in place: merged as peft merges them, in any part, and refused where halves are lost."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from peft import LoraConfig, inject_adapter_in_model
from torch import Tensor

from internvl.errors import InputError
from internvl.model.adapters import MergedAdapters, is_wrapped
from internvl.model.tensors import TensorDict
from tests.tiny import tiny_model

RANKS = {"vision_model": 2, "language_model": 3}
LAYER = "language_model.base_model.model.model.layers.0.self_attn.q_proj"


def wrap(dtype: torch.dtype = torch.float32) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The tensors of a model with random adapters as the published scripts save it, and what peft merges it to."""
    model: Any = tiny_model()
    torch.manual_seed(1)
    for part, rank in RANKS.items():
        targets = {"vision_model": ["qkv", "fc1"], "language_model": ["q_proj", "v_proj", "down_proj"]}[part]
        settings = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=targets)
        inject_adapter_in_model(settings, getattr(model, part))
    for name, parameter in model.named_parameters():
        if ".lora_" in name:
            parameter.data.normal_(std=0.3)
    model.to(dtype)
    saved = {
        re.sub(rf"^({'|'.join(RANKS)})\.", r"\1.base_model.model.", n): p.data.clone()
        for n, p in model.named_parameters()
    }
    for module in list(model.modules()):
        if hasattr(module, "base_layer"):
            module.float().merge()
    names = {n: n.replace(".base_layer.", ".") for n, _ in model.named_parameters() if ".lora_" not in n}
    return saved, {names[n]: p.data for n, p in model.named_parameters() if n in names}


def test_adapters_are_merged_as_peft_does():
    saved, expected = wrap()
    assert is_wrapped(saved)
    assert not is_wrapped(expected)
    merged = MergedAdapters(TensorDict(saved), RANKS)
    assert merged.shapes == {name: tuple(tensor.shape) for name, tensor in expected.items()}
    assert any(".base_layer.bias" in name for name in saved)
    for name, tensor in expected.items():
        torch.testing.assert_close(merged.read(name).view(tensor.shape), tensor, rtol=1e-6, atol=1e-6)


def test_the_sum_is_rounded_once_to_the_type_of_the_layer():
    saved, expected = wrap(torch.bfloat16)
    merged = MergedAdapters(TensorDict(saved), RANKS)
    assert set(merged.dtypes.values()) == {torch.bfloat16}
    for name, tensor in expected.items():
        ours = merged.read(name).view(tensor.shape)
        torch.testing.assert_close(ours.float(), tensor.bfloat16().float(), rtol=2**-7, atol=1e-6)


def test_any_range_is_the_slice_of_the_whole():
    torch.manual_seed(2)
    shapes = {"base_layer.weight": (4, 5), "base_layer.bias": (4,)}
    shapes |= {"lora_A.default.weight": (3, 5), "lora_B.default.weight": (4, 3)}
    state = {f"language_model.base_model.model.a.{name}": torch.randn(shape) for name, shape in shapes.items()}
    merged = MergedAdapters(TensorDict(state), RANKS)
    for name, shape in {"language_model.a.weight": (4, 5), "language_model.a.bias": (4,)}.items():
        flat = merged.read(name)
        assert merged.shapes[name] == shape
        for start in range(len(flat) + 1):
            for stop in range(start, len(flat) + 1):
                torch.testing.assert_close(merged.read(name, start, stop), flat[start:stop])


def lose(ending: str) -> Callable[[dict[str, Tensor]], None]:
    def damage(state: dict[str, Tensor]) -> None:
        del state[f"{LAYER}.{ending}"]

    return damage


def widen(state: dict[str, Tensor]) -> None:
    state[f"{LAYER}.lora_A.default.weight"] = torch.ones(3, 7)


@pytest.mark.parametrize(
    ("damage", "ranks", "message"),
    [
        (lose("lora_A.default.weight"), RANKS, r"expected a layer with two halves of an adapter for .*q_proj.weight"),
        (lose("base_layer.weight"), RANKS, r"expected a layer with two halves of an adapter for .*q_proj.weight"),
        (widen, RANKS, r"expected an adapter for \(32, 32\) in .*q_proj.weight, got \(3, 7\)"),
        (
            None,
            {**RANKS, "language_model": 4},
            r"^use_llm_lora: expected the rank 3 .*, got 4 in config.json; correct it",
        ),
        (None, {**RANKS, "vision_model": 0}, r"^use_backbone_lora: expected the rank 2 .*, got 0 in config.json"),
    ],
)
def test_adapters_that_do_not_fit_are_named(damage, ranks, message):
    saved, _ = wrap()
    if damage is not None:
        damage(saved)
    with pytest.raises(InputError, match=message) as caught:
        MergedAdapters(TensorDict(saved), ranks)
    assert "\n" not in str(caught.value)


def test_a_layer_that_lost_its_adapter_is_named():
    saved, _ = wrap()
    for letter in "AB":
        del saved[f"{LAYER}.lora_{letter}.default.weight"]
    with pytest.raises(InputError, match=r"expected an adapter for .*q_proj.weight, got none"):
        MergedAdapters(TensorDict(saved), RANKS)
