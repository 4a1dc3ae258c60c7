"""What a run needs: parameters as the model has them, and bytes as the strategies spread them."""

from __future__ import annotations

import time

import pytest
import torch
from peft import LoraConfig, inject_adapter_in_model
from torch import nn

from internvl.model import InternVLChatConfig, InternVLChatModel
from internvl.model.checkpoint import make_empty
from tests.tiny import tiny_config, tiny_model
from train.estimate import PartSize, count_parts, describe_parts, describe_state, estimate_state

LARGE = InternVLChatConfig(
    vision_config={
        "hidden_size": 3200,
        "num_hidden_layers": 45,
        "num_attention_heads": 25,
        "intermediate_size": 12800,
        "image_size": 448,
        "qk_normalization": True,
        "norm_type": "rms_norm",
        "drop_path_rate": 0.4,
    },
    llm_config={
        "architectures": ["LlamaForCausalLM"],
        "num_hidden_layers": 60,
        "hidden_size": 7168,
        "num_attention_heads": 56,
        "num_key_value_heads": 8,
        "intermediate_size": 20480,
        "vocab_size": 64000,
    },
)
PARTS = (PartSize("vision tower", 600, 0), PartSize("language model", 1400, 1000))
KINDS = ("parameters", "gradients", "master", "moments")


def amounts(**options: str | int) -> tuple[float, ...]:
    keys: dict[str, object] = {"strategy": "single", "precision": "32-true", **options}
    state = estimate_state(PARTS, **keys)  # type: ignore[arg-type]
    return tuple(getattr(state, name) for name in KINDS)


def count_adapters(part: nn.Module, targets: list[str], rank: int) -> int:
    """By the definition: two matrices per layer, one as wide as its input and one as wide as its output."""
    layers = [layer for name, layer in part.named_modules() if any(name.endswith(target) for target in targets)]
    assert all(isinstance(layer, nn.Linear) for layer in layers)
    return rank * sum(layer.in_features + layer.out_features for layer in layers if isinstance(layer, nn.Linear))


def test_the_forty_billion_of_the_published_model_take_no_time_and_no_memory():
    begin = time.process_time()
    model = make_empty(LARGE)
    parts = {part.name: part for part in count_parts(model)}
    assert time.process_time() - begin < 2
    assert {parameter.device.type for parameter in model.parameters()} == {"meta"}
    assert list(parts) == ["vision tower", "projector", "language model"]
    sizes = [part.parameters for part in parts.values()]
    # Blocks, embeddings and norms, written out.
    width, hidden = 3200, 7168
    block = 4 * width**2 + width + 2 * width * 12800 + width + 12800 + 6 * width
    assert sizes[0] == 45 * block + width * (3 * 14**2 + 1) + (32**2 + 1) * width + width
    assert sizes[1] == 2 * 4 * width + (4 * width + 1) * hidden + (hidden + 1) * hidden
    layer = hidden * hidden * 2 + 2 * hidden * 8 * 128 + 3 * hidden * 20480 + 2 * hidden
    assert sizes[2] == 60 * layer + 2 * 64000 * hidden + hidden
    assert sum(sizes) == pytest.approx(40.07e9, rel=1e-3)
    assert LARGE.vision_config.drop_path_rate == 0.4


@pytest.mark.parametrize("decoder", ["llama", "qwen2"])
def test_parts_are_counted_as_a_real_model_has_them(decoder):
    model = tiny_model(decoder)
    parts = count_parts(make_empty(model.config))
    assert sum(part.parameters for part in parts) == sum(parameter.numel() for parameter in model.parameters())
    assert parts == count_parts(model)
    assert [part.trainable for part in parts] == [part.parameters for part in parts]


def test_tied_words_count_once():
    plain, tied = (
        count_parts(make_empty(tiny_config(llm_config={"tie_word_embeddings": tie}))) for tie in (False, True)
    )
    config = tiny_config().llm_config
    assert plain[2].parameters - tied[2].parameters == config.vocab_size * config.hidden_size


def test_frozen_parts_are_not_trained():
    model = make_empty(tiny_config())
    model.vision_model.requires_grad_(False)
    model.vision_model.encoder.layers[-1].requires_grad_(True)
    tower, projector, language = count_parts(model)
    assert tower.trainable == sum(parameter.numel() for parameter in model.vision_model.encoder.layers[-1].parameters())
    assert tower.trainable < tower.parameters
    assert (projector.trainable, language.trainable) == (projector.parameters, language.parameters)


@pytest.mark.parametrize(
    ("part", "targets"),
    [
        ("vision_model", ["attn.qkv", "attn.proj", "mlp.fc1", "mlp.fc2"]),
        ("language_model", ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]),
    ],
)
def test_adapters_are_a_part_and_their_base_is_frozen(part, targets):
    model = make_empty(tiny_config())
    before = count_parts(model)
    expected = count_adapters(getattr(model, part), targets, 3)
    inject_adapter_in_model(LoraConfig(r=3, target_modules=targets), getattr(model, part))
    *parts, adapters = count_parts(model)
    assert adapters == PartSize("adapters", expected, expected)
    assert expected > 1000
    assert [size.parameters for size in parts] == [size.parameters for size in before]
    frozen = {"vision_model": "vision tower", "language_model": "language model"}[part]
    assert [size.name for size in parts if not size.trainable] == [frozen]


def test_a_real_optimizer_has_the_bytes_that_are_told():
    model = tiny_model()
    model.vision_model.requires_grad_(False)
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trainable)
    for parameter in trainable:
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    states = [value for state in optimizer.state.values() for name, value in state.items() if name != "step"]
    state = estimate_state(count_parts(model), strategy="single", precision="32-true")
    assert state.parameters == sum(parameter.nbytes for parameter in model.parameters())
    assert state.gradients == sum(parameter.grad.nbytes for parameter in trainable if parameter.grad is not None)
    assert (state.moments, state.master) == (sum(value.nbytes for value in states), 0)


@pytest.mark.parametrize(
    ("strategy", "precision", "expected"),
    [
        ("single", "32-true", (8000, 4000, 0, 8000)),
        ("ddp", "bf16-mixed", (8000, 4000, 0, 8000)),
        ("ddp", "bf16-true", (4000, 2000, 0, 4000)),
        ("fsdp2", "bf16-mixed", (2000, 1000, 0, 2000)),
        ("fsdp2", "bf16-true", (1000, 500, 0, 1000)),
        # DeepSpeed: 16 bytes per trained parameter, 2 per frozen one.
        ("zero1", "bf16-mixed", (4000, 2000, 1000, 2000)),
        ("zero2", "bf16-mixed", (4000, 500, 1000, 2000)),
        ("zero3", "bf16-true", (1000, 500, 1000, 2000)),
        ("zero2", "32-true", (8000, 1000, 1000, 2000)),
        ("zero3", "32-true", (2000, 1000, 0, 2000)),
    ],
)
def test_four_devices_share_what_the_strategy_spreads(strategy, precision, expected):
    assert amounts(strategy=strategy, precision=precision, world=4) == expected


def test_deepspeed_has_sixteen_bytes_per_trained_parameter_and_two_per_frozen_one():
    assert sum(amounts(strategy="zero1", precision="bf16-mixed")) == 16 * 1000 + 2 * 1000
    parts = count_parts(make_empty(LARGE))
    state = estimate_state(parts, strategy="zero3", precision="bf16-mixed", world=32)
    assert state.device == pytest.approx(20.03e9, rel=1e-3)


def test_what_the_host_keeps_is_not_on_the_device():
    keys = {"strategy": "zero3", "precision": "bf16-mixed", "world": 4}
    none, optimizer, everything = (
        estimate_state(PARTS, offload=offload, **keys)  # type: ignore[arg-type]
        for offload in ("none", "optimizer", "all")
    )
    assert (none.device, none.host) == (4500, 0)
    assert (optimizer.device, optimizer.host) == (1500, 3000)
    assert (everything.device, everything.host) == (500, 4000)


def test_tables_are_aligned():
    assert describe_parts((PartSize("vision tower", 5_536_496_000, 0), PartSize("adapters", 12, 12))) == [
        "part             parameters  trained",
        "vision tower  5,536,496,000        0",
        "adapters                 12       12",
        "all           5,536,496,012       12",
    ]
    parts = (PartSize("language model", 40_000_000_000, 40_000_000_000),)
    state = estimate_state(parts, strategy="zero3", precision="bf16-mixed", world=32, offload="optimizer")
    assert describe_state(state, strategy="zero3", precision="bf16-mixed", world=32) == [
        "state per device                GB",
        "parameters                    2.50",
        "gradients                     2.50",
        "float32 copy of the weights   5.00  in the memory of the host",
        "moments of the optimizer     10.00  in the memory of the host",
        "on the device                 5.00  with zero3 on 32, bf16-mixed",
        "on the host                  15.00  for each device",
        "activations and buffers come on top",
    ]


def test_an_empty_model_is_the_class_that_is_trained():
    assert type(make_empty(tiny_config())) is InternVLChatModel
