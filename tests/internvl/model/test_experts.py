"""Mixtures of experts: the stacked tensors of memory from published ones and back, and what a lost expert becomes."""

from __future__ import annotations

import torch
from torch import Tensor

from internvl.model.experts import split_experts, stack_experts
from internvl.model.tensors import Rearranged, TensorDict
from tests.internvl.model.test_tensor_folder import check_ranges

LAYER = "language_model.model.layers.1.mlp"


def make_published(experts: int = 3) -> dict[str, Tensor]:
    torch.manual_seed(0)
    state = {f"{LAYER}.gate.weight": torch.randn(experts, 4), "vision_model.x": torch.randn(2)}
    for number in range(experts):
        for kind, shape in (("gate", (5, 4)), ("up", (5, 4)), ("down", (4, 5))):
            state[f"{LAYER}.experts.{number}.{kind}_proj.weight"] = torch.randn(shape)
    return state


def test_experts_are_stacked_as_transformers_has_them_and_come_back():
    state = make_published(11)  # more than ten: their order is by number, not by name
    source = TensorDict(state)
    stacked = Rearranged(source, stack_experts(source.shapes))
    parts = {
        kind: [state[f"{LAYER}.experts.{n}.{kind}_proj.weight"] for n in range(11)] for kind in ("gate", "up", "down")
    }
    gate_up = torch.stack([torch.cat(pair) for pair in zip(parts["gate"], parts["up"], strict=True)])
    check_ranges(
        Rearranged(source, stack_experts(source.shapes)),
        {
            f"{LAYER}.gate.weight": state[f"{LAYER}.gate.weight"],
            "vision_model.x": state["vision_model.x"],
            f"{LAYER}.experts.gate_up_proj": gate_up,
            f"{LAYER}.experts.down_proj": torch.stack(parts["down"]),
        },
    )
    check_ranges(Rearranged(stacked, split_experts(stacked.shapes)), state)


def test_a_layer_without_one_of_its_experts_is_not_stacked():
    state = make_published()
    del state[f"{LAYER}.experts.1.up_proj.weight"]
    source = TensorDict(state)
    assert stack_experts(source.shapes).keys() == state.keys()
