"""The options of a training run: their defaults, what follows from others, and what is refused."""

from __future__ import annotations

import pytest

from internvl.errors import InputError
from train.config import DataConfig, FinetuneConfig, ModelConfig, OptimConfig


def test_defaults_are_those_of_the_published_run():
    config = FinetuneConfig()
    optim = OptimConfig(
        learning_rate=1e-5,
        final_ratio=0.0,
        warmup_ratio=0.03,
        weight_decay=0.05,
        decay="all",
        betas=(0.9, 0.999),
        eps=1e-8,
        max_grad_norm=1.0,
    )
    assert config.optim == optim
    assert (config.data.packing, config.data.loss_reduction, config.data.max_bad_share) == (True, "token", 0.01)
    assert (config.num_train_epochs, config.data.max_seq_length, config.data.num_workers) == (1, 2048, 2)
    assert (config.save_steps, config.save_total_limit, config.log_steps, config.seed) == (200, 1, 1, 42)
    assert (config.strategy, config.precision, config.overwrite) == ("auto", "auto", False)


@pytest.mark.parametrize(
    ("per_device", "longest", "tokens"),
    [(4, 2048, 8192), (8, 2048, 16384), (4, 8192, 16384), (1, 8192, 8192), (1, 32768, 32768), (8, 512, 4096)],
)
def test_packs_hold_what_a_padded_batch_could_within_bounds(per_device, longest, tokens):
    config = FinetuneConfig(per_device_batch_size=per_device, data=DataConfig(max_seq_length=longest))
    assert config.data.max_packed_tokens == tokens


def test_a_budget_that_is_given_stays():
    assert FinetuneConfig(data=DataConfig(max_packed_tokens=5000)).data.max_packed_tokens == 5000


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"strategy": "zero4"}, r"^strategy: expected auto, single, .* or a DeepSpeed JSON file, got zero4; "),
        ({"nodes": 0}, r"^nodes: expected at least 1, got 0; "),
        ({"save_total_limit": 0}, r"^save_total_limit: expected at least 1, got 0; "),
    ],
)
def test_what_cannot_be_is_refused(values, message):
    with pytest.raises(InputError, match=message):
        FinetuneConfig(**values)


def test_a_deepspeed_file_is_a_strategy():
    assert FinetuneConfig(strategy="some/zero_stage3_config.json").strategy.endswith(".json")


@pytest.mark.parametrize(
    ("values", "name"),
    [({"use_llm_lora": -1}, "use_llm_lora"), ({"drop_path_rate": 1.0}, "drop_path_rate")],
)
def test_a_part_outside_of_its_range_is_refused(values, name):
    with pytest.raises(InputError, match=rf"^model\.{name}: expected "):
        ModelConfig(**values)
