"""What is trained: every option and every pair of them, in the published order, and in which mode its parts are."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pytest
import torch
from peft import LoraConfig, inject_adapter_in_model

from internvl.errors import InputError
from internvl.model import InternVLChatModel
from tests.tiny import tiny_model
from train.config import ModelConfig
from train.parts import choose_parts, find_adapter, find_part, is_adapter, name_stored, set_modes, shape_of

TOWER_TARGETS = {"attn.qkv", "attn.proj", "mlp.fc1", "mlp.fc2"}
DECODER_TARGETS = {
    *("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj"),
    *("mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"),
}


def make(decoder: str = "llama", *, blocks: int = 3, changes: dict[str, Any] | None = None, **options: Any) -> Any:
    """A model of several vision blocks after the choice."""
    vision = {"num_hidden_layers": blocks, "drop_path_rate": options.get("drop_path_rate", 0.0)}
    model = tiny_model(decoder, **{"vision_config": vision, **(changes or {})})
    choose_parts(model, ModelConfig(**options))
    return model


def trained(model: InternVLChatModel) -> set[str]:
    return {name_stored(name) for name, parameter in model.named_parameters() if parameter.requires_grad}


def adapted(model: InternVLChatModel, part: str) -> set[str]:
    """The kinds of layers of a part that have adapters."""
    names = {name.partition(".lora_")[0] for name, _ in model.named_parameters() if is_adapter(name)}
    return {".".join(name.split(".")[-2:]) for name in names if name.startswith(part)}


CHOICES: dict[str, dict[str, Any]] = {
    "freeze_backbone": {"freeze_backbone": True},
    "freeze_mlp": {"freeze_mlp": True},
    "freeze_llm": {"freeze_llm": True},
    "unfreeze_vit_layers": {"unfreeze_vit_layers": -1},
    "unfreeze_lm_head": {"unfreeze_lm_head": True},
    "use_backbone_lora": {"use_backbone_lora": 2},
    "use_llm_lora": {"use_llm_lora": 2},
}
SETS = [names for size in range(4) for names in combinations(CHOICES, size)]


@pytest.mark.parametrize("names", SETS, ids="+".join)
def test_options_and_groups_of_them_train_what_they_say(names):
    options = {name: value for choice in names for name, value in CHOICES[choice].items()}
    expected = set()
    plain = tiny_model(vision_config={"num_hidden_layers": 3})
    for name, _ in plain.named_parameters():
        part, is_adapted = find_part(name), {"use_backbone_lora": False, "use_llm_lora": False}
        if part == "vision_model":
            is_trained = "freeze_backbone" not in names and "use_backbone_lora" not in names
            is_trained |= "unfreeze_vit_layers" in names and ".layers.2." in name
            is_adapted["use_backbone_lora"] = any(f".{target}.weight" in name for target in TOWER_TARGETS)
        elif part == "mlp1":
            is_trained = "freeze_mlp" not in names
        else:
            is_trained = "freeze_llm" not in names and "use_llm_lora" not in names
            is_trained |= "unfreeze_lm_head" in names and "lm_head" in name
            is_adapted["use_llm_lora"] = any(f".{target}.weight" in name for target in DECODER_TARGETS)
        if is_trained:
            expected.add(name)
        for option, has_adapter in is_adapted.items():
            if has_adapter and option in names:
                expected |= set(find_adapter(name))
    if not expected:
        with pytest.raises(InputError, match=r"^model: expected at least one trainable part, got all frozen; unfreeze"):
            make(**options)
        return
    model = make(**options)
    assert trained(model) == expected
    # No name is lost, and what is stored under it is the weight itself.
    stored = {name_stored(name): parameter for name, parameter in model.named_parameters()}
    for name, parameter in plain.named_parameters():
        assert torch.equal(stored[name], parameter)


def test_the_published_order_unfreezes_blocks_last():
    model = make(freeze_backbone=True, use_backbone_lora=2, freeze_mlp=True, freeze_llm=True, unfreeze_vit_layers=-1)
    names = trained(model)
    assert "vision_model.encoder.layers.2.attn.qkv.weight" in names
    assert "vision_model.encoder.layers.1.attn.qkv.weight" not in names
    assert "vision_model.encoder.layers.1.attn.qkv.lora_A.default.weight" in names


@pytest.mark.parametrize("decoder", ["llama", "qwen2"])
def test_adapters_are_on_the_published_layers(decoder):
    model = make(decoder, use_backbone_lora=3, use_llm_lora=4)
    assert adapted(model, "vision_model") == TOWER_TARGETS
    assert adapted(model, "language_model") == DECODER_TARGETS
    count = dict.fromkeys(("vision_model", "language_model"), 0)
    for name, parameter in model.named_parameters():
        if is_adapter(name):
            count[find_part(name)] += 1
            assert parameter.shape[0 if "lora_A" in name else 1] == (3 if find_part(name) == "vision_model" else 4)
    assert count == {"vision_model": 2 * 4 * 3, "language_model": 2 * 7 * 2}


def test_phi3_has_its_own_layers():
    phi = {"architectures": ["Phi3ForCausalLM"]}
    model = make(changes={"llm_config": phi}, use_llm_lora=2)
    expected = {"self_attn.qkv_proj", "self_attn.o_proj", "mlp.gate_up_proj", "mlp.down_proj"}
    assert adapted(model, "language_model") == expected


@pytest.mark.parametrize(("alpha", "scale"), [(None, 2.0), (4, 1.0), (2, 0.5)])
def test_scale_and_dropout_reach_the_adapters(alpha, scale):
    model = make(use_backbone_lora=4, use_llm_lora=4, lora_alpha=alpha, lora_dropout=0.25)
    layers = model.vision_model.encoder.layers[0].attn.qkv, model.language_model.model.layers[0].self_attn.q_proj
    for layer in layers:
        assert layer.scaling == {"default": scale}
        assert layer.lora_dropout["default"].p == 0.25
        # As peft does it.
        layer.eval()
        x = torch.randn(3, layer.in_features)
        expected = layer.base_layer(x) + scale * (x @ layer.lora_A.default.weight.T @ layer.lora_B.default.weight.T)
        torch.testing.assert_close(layer(x), expected)


def test_names_are_those_of_peft():
    model = tiny_model()
    inject_adapter_in_model(LoraConfig(r=2, target_modules=["self_attn.q_proj"]), model.language_model)
    names = {name: name_stored(name) for name, _ in model.named_parameters()}
    weight = "language_model.model.layers.0.self_attn.q_proj.weight"
    assert weight in names.values()
    assert set(find_adapter(weight)) <= {name for name in names if is_adapter(name)}
    assert len(set(names.values())) == len(names)
    assert not is_adapter(weight)
    assert names["mlp1.0.weight"] == "mlp1.0.weight"


def modes(part: torch.nn.Module) -> set[bool]:
    return {module.training for module in part.modules()}


def test_frozen_parts_are_evaluated_and_single_blocks_are_not():
    model = make(freeze_backbone=True, freeze_llm=True, unfreeze_vit_layers=-1, drop_path_rate=0.5)
    for _ in range(2):
        model.train()  # as Lightning does
        set_modes(model, training=True)
        tower = model.vision_model
        assert modes(tower.embeddings) == modes(tower.encoder.layers[0]) == modes(tower.encoder.layers[1]) == {False}
        assert modes(tower.encoder.layers[2]) == modes(model.mlp1) == {True}
        assert modes(model.language_model) == {False}
    set_modes(model, training=False)
    assert modes(model) == {False}


@pytest.mark.parametrize(("options", "random_blocks"), [({"unfreeze_vit_layers": 1}, [1, 2]), ({}, [])])
def test_drop_path_is_on_in_unfrozen_blocks_alone(options, random_blocks):
    model = make(freeze_backbone=True, drop_path_rate=0.9, **options)
    set_modes(model, training=True)
    x = torch.randn(64, 17, 32)
    differing = []
    for number, block in enumerate(model.vision_model.encoder.layers):
        torch.manual_seed(number)
        if not torch.equal(block(x), block(x)):
            differing.append(number)
    assert differing == random_blocks
    set_modes(model, training=False)
    assert all(torch.equal(block(x), block(x)) for block in model.vision_model.encoder.layers)


def test_adapters_alone_put_their_part_in_training_mode():
    model = make(use_llm_lora=2, freeze_backbone=True, freeze_mlp=True)
    set_modes(model, training=True)
    assert modes(model.language_model) == {True}
    assert modes(model.vision_model.encoder.layers[0]) == modes(model.mlp1) == {False}


def test_a_head_of_its_own_learns_alone():
    model = make(freeze_llm=True, unfreeze_lm_head=True, freeze_backbone=True, freeze_mlp=True)
    assert trained(model) == {"language_model.lm_head.weight"}


@pytest.mark.parametrize("adapters", [0, 2])
def test_a_tied_head_learns_as_the_embeddings_that_it_is(adapters):
    tied = {"llm_config": {"tie_word_embeddings": True}, "tie_word_embeddings": True}
    options = {"freeze_llm": True, "unfreeze_lm_head": True, "freeze_backbone": True, "freeze_mlp": True}
    model = make(changes=tied, use_llm_lora=adapters, **options)
    matrix = "language_model.model.embed_tokens.weight"
    assert {name for name in trained(model) if not is_adapter(name)} == {matrix}
    assert model.language_model.lm_head.weight is model.language_model.model.embed_tokens.weight
    # One tensor in both of its uses: a row that is only read and a row that is only predicted both get a gradient.
    ids = torch.tensor([[7, 8]])
    model(input_ids=ids, labels=torch.tensor([[-100, 9]])).loss.backward()
    gradient = model.get_parameter(matrix).grad
    assert all(float(gradient[row].abs().max()) > 0 for row in (7, 9))


@pytest.mark.parametrize(("layer", "number"), [(-1, 3), (-2, 2), (1, 1)])
def test_blocks_behind_the_layer_that_is_used_are_frozen(layer, number):
    model = make(changes={"select_layer": layer})
    for place, block in enumerate(model.vision_model.encoder.layers):
        assert {parameter.requires_grad for parameter in block.parameters()} == {place < number}
    ids = torch.full((1, 6), 9)
    ids[:, :4] = model.context_id
    model(input_ids=ids, pixel_values=torch.randn(1, 3, 56, 56), labels=ids).loss.backward()
    # Every parameter that is trained gets a gradient; other processes would wait for it.
    missing = {
        name for name, parameter in model.named_parameters() if parameter.requires_grad and parameter.grad is None
    }
    assert missing == set()


@pytest.mark.parametrize(("value", "blocks"), [(-2, [1, 2]), (1, [1, 2]), (2, [2]), (-3, [0, 1, 2]), (-1, [2])])
def test_single_blocks_are_counted_from_either_end(value, blocks):
    model = make(freeze_backbone=True, unfreeze_vit_layers=value)
    layers = model.vision_model.encoder.layers
    assert [place for place, block in enumerate(layers) if next(block.parameters()).requires_grad] == blocks
    assert not any(parameter.requires_grad for parameter in model.vision_model.embeddings.parameters())


@pytest.mark.parametrize(("value", "layer", "used"), [(3, -1, 3), (-4, -1, 3), (99, -1, 3), (-1, -2, 2), (2, -2, 2)])
def test_a_block_that_is_not_there_or_not_used_is_named(value, layer, used):
    message = rf"^model.unfreeze_vit_layers: expected one of the first {used} blocks, .*all 3, .* got {value}; choose"
    with pytest.raises(InputError, match=message):
        make(freeze_backbone=True, unfreeze_vit_layers=value, changes={"select_layer": layer})


def test_shapes_are_those_of_the_whole_parameter():
    parameter: Any = torch.nn.Parameter(torch.empty(2, 3))
    assert shape_of(parameter) == (2, 3)
    parameter.ds_shape = torch.Size((4, 5))
    assert shape_of(parameter) == (4, 5)
