"""The optimiser's groups and the learning-rate curve."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from internvl.model import InternVLChatModel
from tests.tiny import tiny_model
from train.config import ModelConfig, OptimConfig
from train.optim import build_optimizer, cosine
from train.parts import choose_parts

BLOCK = "vision_model.encoder.layers"


def read_groups(optimizer: torch.optim.Optimizer, model: InternVLChatModel) -> dict[str, dict[str, Any]]:
    """The groups by their names, with the names of their parameters."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    groups = {group["name"]: group for group in optimizer.param_groups}
    assert len(groups) == len(optimizer.param_groups)
    return {name: {**group, "params": {names[id(p)] for p in group["params"]}} for name, group in groups.items()}


def read_rates(model: InternVLChatModel, **options: Any) -> dict[str, float]:
    """The learning rate of every group."""
    return {group["name"]: group["lr"] for group in build_optimizer(model, OptimConfig(**options)).param_groups}


def list_names(model: InternVLChatModel, part: str = "") -> set[str]:
    return {name for name, _ in model.named_parameters() if name.startswith(part)}


def test_all_parameters_decay_as_published():
    model = tiny_model()
    (group,) = read_groups(build_optimizer(model, OptimConfig(weight_decay=0.05)), model).values()
    assert (group["weight_decay"], group["lr"], group["name"]) == (0.05, 1e-5, "vision+llm+mlp")
    assert group["params"] == list_names(model)


def test_matrices_only_spares_norms_biases_and_scales():
    model = tiny_model()
    groups = read_groups(build_optimizer(model, OptimConfig(weight_decay=0.05, decay="matrices")), model)
    decays = {name: group["weight_decay"] for name, group in groups.items()}
    assert decays == {"vision+llm+mlp": 0.05, "vision+llm+mlp-no-decay": 0.0}
    decayed, spared = (group["params"] for group in groups.values())
    assert decayed | spared == list_names(model)
    for name in ("ls1", "ls2", "norm1.weight", "norm2.weight", "attn.proj.bias", "mlp.fc1.bias"):
        assert f"{BLOCK}.0.{name}" in spared
    assert {"mlp1.0.weight", "mlp1.0.bias", "mlp1.1.bias", "language_model.model.norm.weight"} < spared
    embeddings = "vision_model.embeddings"
    for name in ("class_embedding", "position_embedding", "patch_embedding.weight"):
        assert f"{embeddings}.{name}" in decayed
    assert f"{embeddings}.patch_embedding.bias" in spared
    assert {"mlp1.1.weight", f"{BLOCK}.0.attn.qkv.weight", "language_model.model.embed_tokens.weight"} < decayed


@pytest.mark.parametrize("decay", ["all", "matrices"])
def test_frozen_parameters_are_left_out(decay):
    model = tiny_model()
    choose_parts(model, ModelConfig(freeze_llm=True, freeze_backbone=True, unfreeze_vit_layers=-1))
    groups = read_groups(build_optimizer(model, OptimConfig(decay=decay)), model)
    assert set(groups) == {"vision+mlp"} | ({"vision+mlp-no-decay"} if decay == "matrices" else set())
    learned = set().union(*(group["params"] for group in groups.values()))
    assert learned == list_names(model, f"{BLOCK}.1.") | list_names(model, "mlp1.")


def test_a_group_without_parameters_is_left_out():
    model = tiny_model()
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name == "mlp1.1.weight")
    (group,) = read_groups(build_optimizer(model, OptimConfig(decay="matrices")), model).values()
    assert (group["name"], group["params"]) == ("mlp", {"mlp1.1.weight"})


def test_options_reach_adamw():
    options = OptimConfig(learning_rate=0.3, betas=(0.8, 0.7), eps=1e-5)
    optimizer = build_optimizer(tiny_model(), options)
    assert isinstance(optimizer, torch.optim.AdamW)
    assert (optimizer.defaults["lr"], optimizer.defaults["betas"], optimizer.defaults["eps"]) == (0.3, (0.8, 0.7), 1e-5)


def test_every_part_can_have_a_rate_of_its_own():
    model = tiny_model()
    options = OptimConfig(
        learning_rate=1.0, vision_learning_rate=0.1, mlp_learning_rate=0.2, llm_learning_rate=0.3, weight_decay=0.05
    )
    groups = read_groups(build_optimizer(model, options), model)
    assert {name: group["lr"] for name, group in groups.items()} == {"vision": 0.1, "mlp": 0.2, "llm": 0.3}
    for name, part in (("vision", "vision_model."), ("mlp", "mlp1."), ("llm", "language_model.")):
        assert groups[name]["params"] == list_names(model, part)
        assert groups[name]["weight_decay"] == 0.05


def test_parts_without_a_rate_of_their_own_share_a_group():
    model = tiny_model()
    assert read_rates(model, learning_rate=1.0, mlp_learning_rate=2.0) == {"vision+llm": 1.0, "mlp": 2.0}
    # A rate of zero is one.
    assert read_rates(model, learning_rate=1.0, llm_learning_rate=0.0) == {"vision+mlp": 1.0, "llm": 0.0}
    rates = read_rates(model, learning_rate=1.0, vision_learning_rate=0.5, decay="matrices")
    assert rates == {"vision": 0.5, "vision-no-decay": 0.5, "llm+mlp": 1.0, "llm+mlp-no-decay": 1.0}


def test_blocks_of_the_tower_learn_slower_the_earlier_they_are():
    model = tiny_model(vision_config={"num_hidden_layers": 3})
    options = OptimConfig(learning_rate=1.0, vision_learning_rate=0.8, vision_layer_decay=0.5)
    groups = read_groups(build_optimizer(model, options), model)
    rates = {name: group["lr"] for name, group in groups.items()}
    expected = {"vision-embeddings": 0.1, "vision-0": 0.2, "vision-1": 0.4, "vision-2": 0.8, "llm+mlp": 1.0}
    assert rates == pytest.approx(expected)
    assert groups["vision-embeddings"]["params"] == list_names(model, "vision_model.embeddings.")
    for number in range(3):
        assert groups[f"vision-{number}"]["params"] == list_names(model, f"{BLOCK}.{number}.")


def test_adapters_learn_at_the_rate_of_what_they_adapt():
    model = tiny_model()
    choose_parts(model, ModelConfig(use_backbone_lora=4, use_llm_lora=2))
    options = OptimConfig(
        learning_rate=1.0, vision_learning_rate=0.1, llm_learning_rate=0.3, vision_layer_decay=0.5, decay="matrices"
    )
    groups = read_groups(build_optimizer(model, options), model)
    rates = {name: group["lr"] for name, group in groups.items()}
    assert rates == {"vision-0": 0.05, "vision-1": 0.1, "mlp": 1.0, "mlp-no-decay": 1.0, "llm": 0.3}
    for number in range(2):
        learned = groups[f"vision-{number}"]["params"]
        assert learned == {name for name in list_names(model, f"{BLOCK}.{number}.") if ".lora_" in name}
        assert len(learned) == 8
    assert groups["llm"]["params"] == {name for name in list_names(model, "language_model.") if ".lora_" in name}


def test_warmup_steps_take_the_place_of_the_share():
    factor = cosine(OptimConfig(warmup_ratio=0.5, warmup_steps=4), 100)
    assert [factor(step) for step in range(5)] == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert factor(5) < 1.0
    assert factor(52) == pytest.approx(0.5)
    assert cosine(OptimConfig(warmup_ratio=0.5, warmup_steps=0), 100)(0) == 1.0
    # As many as there are, and more.
    assert [cosine(OptimConfig(warmup_steps=4), 4)(step) for step in range(5)] == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert cosine(OptimConfig(warmup_steps=8), 4)(4) == 0.5


def test_the_published_run_warms_up_for_75_of_its_2477_steps():
    factor = cosine(OptimConfig(warmup_ratio=0.03), 2477)
    assert [factor(step) for step in (0, 15, 75)] == [0.0, 15 / 75, 1.0]
    assert factor(74) == 74 / 75
    assert factor(76) < 1.0


@pytest.mark.parametrize("final_ratio", [0.0, 0.05, 1.0])
def test_the_curve_is_half_a_cosine_down_to_its_final_share(final_ratio):
    factor = cosine(OptimConfig(warmup_ratio=0.0, final_ratio=final_ratio), 100)
    assert factor(0) == 1.0
    assert factor(50) == pytest.approx((1 + final_ratio) / 2)
    assert factor(25) == pytest.approx(final_ratio + (1 - final_ratio) * (1 + math.sqrt(0.5)) / 2)
    assert factor(100) == pytest.approx(final_ratio, abs=1e-12)
    # The schedule is asked once more than there are steps.
    assert factor(101) == pytest.approx(final_ratio, abs=1e-12)


@pytest.mark.parametrize(("ratio", "steps"), [(0.03, 1), (1.0, 4), (0.0, 1)])
def test_the_shortest_runs_have_a_curve(ratio, steps):
    factor = cosine(OptimConfig(warmup_ratio=ratio), steps)
    assert all(0.0 <= factor(step) <= 1.0 for step in range(steps + 2))
