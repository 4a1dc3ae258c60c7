"""DeepSpeed's JSON: the published values, nothing left open, and nothing that contradicts the options."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from internvl.errors import InputError, MissingError
from tests.tiny_run import run_here, write_arguments
from train.config import FinetuneConfig, OptimConfig
from train.deepspeed import FOLDER, build_deepspeed, read_settings
from train.strategy import _PATIENCE

BILLION = 1_000_000_000
STAGE_1_2 = {"allgather_partitions": True, "reduce_scatter": True, "overlap_comm": True, "contiguous_gradients": True}
STAGE_3 = {
    "stage": 3,
    "overlap_comm": True,
    "contiguous_gradients": True,
    "sub_group_size": BILLION,
    "reduce_bucket_size": BILLION,
    "stage3_prefetch_bucket_size": BILLION,
    "stage3_param_persistence_threshold": 10_000_000,
    "stage3_max_live_parameters": BILLION,
    "stage3_max_reuse_distance": BILLION,
    "stage3_gather_16bit_weights_on_model_save": True,
}
SMALL = ("sub_group_size", "reduce_bucket_size", "stage3_prefetch_bucket_size")
PLACE = {"device": "cpu", "pin_memory": True}
PUBLISHED: dict[str, dict[str, Any]] = {
    "zero_stage1_config": {**STAGE_1_2, "stage": 1, "allgather_bucket_size": BILLION, "reduce_bucket_size": BILLION},
    "zero_stage2_config": {
        **STAGE_1_2,
        "stage": 2,
        "allgather_bucket_size": BILLION // 10,
        "reduce_bucket_size": BILLION // 10,
    },
    "zero_stage3_config": STAGE_3,
    "zero_stage3_config_34b": {**STAGE_3, "stage3_param_persistence_threshold": 100_000},
    "zero_stage3_config_70b": {**STAGE_3, "stage3_param_persistence_threshold": 100_000},
    "zero_stage3_config_100b": {**STAGE_3, "stage3_param_persistence_threshold": 10_000},
    "zero_stage3_config_100b_1e8": {
        **STAGE_3,
        "stage3_param_persistence_threshold": 10_000,
        **dict.fromkeys(SMALL, BILLION // 10),
    },
    "zero_stage3_config_100b_1e7_offload": {
        **STAGE_3,
        "stage3_param_persistence_threshold": 10_000,
        **dict.fromkeys(SMALL, BILLION // 100),
        "stage3_max_live_parameters": BILLION // 10,
        "stage3_max_reuse_distance": BILLION // 10,
        "overlap_comm": False,
        "offload_param": PLACE,
        "offload_optimizer": PLACE,
    },
}
COMMON = {
    "fp16": {
        "enabled": "auto",
        "auto_cast": True,
        "loss_scale": 0,
        "initial_scale_power": 32,
        "loss_scale_window": 1000,
        "hysteresis": 2,
        "min_loss_scale": 1,
    },
    "bf16": {"enabled": "auto"},
    "optimizer": {
        "type": "AdamW",
        "params": {"lr": "auto", "betas": [0.9, 0.999], "eps": 1e-8, "weight_decay": "auto"},
    },
    "gradient_accumulation_steps": "auto",
    "gradient_clipping": "auto",
    "train_batch_size": "auto",
    "train_micro_batch_size_per_gpu": "auto",
    "steps_per_print": 2000,
    "wall_clock_breakdown": False,
}


def read(strategy: str, *, on_gpu: bool = True, **options: Any) -> dict[str, Any]:
    return read_settings(FinetuneConfig(strategy=strategy, **options), on_gpu=on_gpu)


def write(folder: Path, stage: int = 2, **settings: Any) -> str:
    zero = {"stage": stage, **settings.pop("zero", {})}
    path = folder / "own.json"
    path.write_text(json.dumps({"zero_optimization": zero, **settings}))
    return str(path)


def list_values(settings: Any) -> list[Any]:
    inner = settings.values() if isinstance(settings, dict) else settings if isinstance(settings, list) else None
    return [settings] if inner is None else [value for each in inner for value in list_values(each)]


def test_the_shipped_files_are_the_published_ones():
    assert {path.stem for path in FOLDER.glob("*.json")} == set(PUBLISHED)
    for name, zero in PUBLISHED.items():
        content = json.loads((FOLDER / f"{name}.json").read_text())
        assert content == {"zero_optimization": zero, **COMMON}, name
        assert not any(isinstance(value, float) and value.is_integer() for value in list_values(zero)), name


@pytest.mark.parametrize("on_gpu", [False, True])
@pytest.mark.parametrize("name", PUBLISHED)
def test_nothing_of_a_shipped_file_is_left_open(name, on_gpu):
    settings = read(f"{name}.json", on_gpu=on_gpu, per_device_batch_size=3)
    assert not {"auto", None} & {value for value in list_values(settings) if not isinstance(value, dict)}
    zero = dict(PUBLISHED[name])
    if not on_gpu:  # a CPU has no memory to pin
        zero |= {key: {**PLACE, "pin_memory": False} for key in ("offload_param", "offload_optimizer") if key in zero}
    assert settings.pop("zero_optimization") == zero
    expected = {
        "steps_per_print": 2000,
        "wall_clock_breakdown": False,
        "zero_allow_untested_optimizer": True,
        "train_micro_batch_size_per_gpu": 3,
    }
    assert settings == expected | ({} if on_gpu else {"zero_force_ds_cpu_optimizer": False})


@pytest.mark.parametrize("stage", [1, 2, 3])
def test_a_short_name_is_the_shipped_file_whatever_lies_about(stage, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / f"zero_stage{stage}_config.json").write_text("{}")
    expected = PUBLISHED[f"zero_stage{stage}_config"]
    assert read(f"zero{stage}")["zero_optimization"] == expected
    # A published launch line names the file in a folder that is not here.
    assert read("scripts/zero_stage3_config_34b.json")["zero_optimization"]["stage"] == 3


def test_a_file_of_ones_own_wins_over_a_shipped_one_of_its_name(tmp_path):
    own = tmp_path / "zero_stage3_config.json"
    own.write_text(json.dumps({"zero_optimization": {"stage": 2}}))
    assert read(str(own))["zero_optimization"] == {"stage": 2}


def test_open_values_at_any_depth_are_left_to_deepspeed(tmp_path):
    zero = {"reduce_bucket_size": "auto", "offload_param": None, "overlap_comm": True}
    strategy = write(tmp_path, zero=zero, bf16={"enabled": "auto"}, scheduler="auto", steps_per_print=5)
    settings = read(strategy)
    assert settings["zero_optimization"] == {"stage": 2, "overlap_comm": True}
    assert settings["steps_per_print"] == 5
    assert not {"bf16", "scheduler"} & settings.keys()


def test_what_agrees_with_the_options_is_taken(tmp_path):
    parameters = {"lr": 2e-5, "betas": [0.9, 0.95], "eps": 1e-6, "weight_decay": 0.1, "torch_adam": True}
    optim = OptimConfig(learning_rate=2e-5, betas=(0.9, 0.95), eps=1e-6, weight_decay=0.1, max_grad_norm=0.5)
    strategy = write(
        tmp_path,
        optimizer={"type": "AdamW", "params": parameters},
        gradient_clipping=0.5,
        train_batch_size=8,
        train_micro_batch_size_per_gpu=2,
        fp16={"enabled": False},
        bf16={"enabled": True},
    )
    options = {"optim": optim, "batch_size": 8, "per_device_batch_size": 2, "precision": "bf16-mixed"}
    assert read(strategy, **options)["zero_optimization"] == {"stage": 2}


CONTRADICTIONS: dict[str, tuple[dict[str, Any], str]] = {
    "rate": ({"optimizer": {"params": {"lr": 1}}}, "lr to be auto or 1e-05 as in the options, got 1;"),
    "betas": (
        {"optimizer": {"type": "AdamW", "params": {"betas": [0.9, 0.95]}}},
        "betas to be auto or [0.9, 0.999] as in the options, got [0.9, 0.95];",
    ),
    "eps": ({"optimizer": {"params": {"eps": 1e-6}}}, "eps to be auto or 1e-08 as in the options, got 1e-06;"),
    "decay": (
        {"optimizer": {"params": {"weight_decay": 0}}},
        "weight_decay to be auto or 0.05 as in the options, got 0",
    ),
    "optimizer": ({"optimizer": {"type": "Lamb"}}, "the optimizer AdamW, got Lamb; leave it out of the file"),
    "clipping": ({"gradient_clipping": 5.0}, "gradient_clipping to be auto or 1.0 as in the options, got 5.0;"),
    "batch": ({"train_batch_size": 3}, "train_batch_size to be auto or 128 as in the options, got 3;"),
    "passes": ({"gradient_accumulation_steps": 2}, "gradient_accumulation_steps to be auto, got 2; make them agree"),
    "scheduler": ({"scheduler": {"type": "WarmupLR"}}, "scheduler to be auto, got {'type': 'WarmupLR'}; make"),
    "half": ({"fp16": {"enabled": True}}, "fp16.enabled to be auto or False as in the options, got True;"),
    "bfloat16": ({"bf16": {"enabled": True}}, "bf16.enabled to be auto or False as in the options, got True;"),
}


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_what_contradicts_the_options_is_refused(name, tmp_path):
    settings, message = CONTRADICTIONS[name]
    strategy = write(tmp_path, **settings)
    with pytest.raises(InputError) as caught:
        read(strategy, batch_size=128, precision="32-true")
    assert str(caught.value).startswith(f"{strategy}: expected {message}")


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"zero_optimization": 3}', '{"zero_optimization": {"stage": 0}}'])
def test_a_file_that_is_none_of_deepspeed_is_named(text, tmp_path):
    path = tmp_path / "own.json"
    path.write_text(text)
    with pytest.raises(
        InputError, match=rf"^{path}: expected (JSON with zero_optimization.stage|stage 1, 2 or 3), got"
    ):
        read(str(path))


def test_a_missing_file_names_the_shipped_ones(tmp_path):
    with pytest.raises(MissingError) as caught:
        read(str(tmp_path / "none.json"))
    assert str(caught.value).endswith(f"use one of {', '.join(sorted(f'{name}.json' for name in PUBLISHED))}")


def test_the_state_goes_to_the_host_where_that_is_asked_for(tmp_path):
    assert "offload_optimizer" not in read("zero2")["zero_optimization"]
    chosen = read("zero2", offload="optimizer")["zero_optimization"]
    assert (chosen["offload_optimizer"], "offload_param" in chosen) == (PLACE, False)
    chosen = read("zero3", offload="all")["zero_optimization"]
    assert (chosen["offload_optimizer"], chosen["offload_param"]) == (PLACE, PLACE)
    chosen = read("zero3", offload="all", on_gpu=False)["zero_optimization"]
    assert chosen["offload_param"] == {"device": "cpu", "pin_memory": False}
    with pytest.raises(InputError, match=r"^offload: expected all with stage 3 alone, got stage 2; use optimizer$"):
        read("zero2", offload="all")
    off = write(tmp_path, zero={"offload_optimizer": {"device": "none"}})
    assert read(off)["zero_optimization"] == {"stage": 2}


@pytest.mark.parametrize(
    ("strategy", "options", "stage", "offload"),
    [
        ("zero1", {}, 1, "none"),
        ("zero2", {"offload": "optimizer"}, 2, "optimizer"),
        ("zero3", {"offload": "all"}, 3, "all"),
        ("zero_stage3_config_100b_1e7_offload.json", {}, 3, "all"),
    ],
)
def test_a_strategy_knows_its_stage_and_what_the_host_keeps(strategy, options, stage, offload):
    with mock.patch.dict(os.environ):
        built = build_deepspeed(FinetuneConfig(strategy=strategy, **options), backend="gloo", timeout=_PATIENCE)
        assert (built.stage, built.offload) == (stage, offload)
        assert not built.on_host  # of a GPU; without one, everything is there anyway
        assert os.environ["DS_ACCELERATOR"] == "cpu"


def test_without_deepspeed_the_setup_is_named(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(
        MissingError, match=r"^strategy: expected deepspeed to be installed for zero1, got none; run sh"
    ):
        build_deepspeed(FinetuneConfig(strategy="zero1"), backend="gloo", timeout=_PATIENCE)


def test_a_missing_file_ends_a_run_with_one_line(checkpoint, meta, tmp_path):
    done = run_here([*write_arguments(checkpoint, meta, tmp_path), f"--deepspeed={tmp_path}/none.json"])
    assert (done.code, done.errors.count("\n")) == (2, 1)
    assert done.errors.startswith("error: strategy: expected a DeepSpeed JSON file, got ")
