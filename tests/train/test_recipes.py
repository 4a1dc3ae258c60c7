"""The shipped recipes and their scripts against the published command lines and hyper-parameters, one by one."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from train.arguments import parse
from train.config import FinetuneConfig

ROOT = Path(__file__).resolve().parents[2]
RECIPES = sorted((ROOT / "train" / "recipes").glob("*.yaml"))
# The quickstart has a script of its own.
SCRIPTS = sorted({*(ROOT / "shell").glob("*/*.sh"), *(ROOT / "shell").glob("*/*/*.sh")})
V12 = "hermes2_yi34b/internvl_chat_v1_2_hermes2_yi34b_448_finetune"
V25 = "internvl2.5/2nd_finetune/internvl2_5_8b_dynamic_res_2nd_finetune"
V30 = "internvl3.0/2nd_finetune/internvl3_8b_dynamic_res_2nd_finetune_full"
SMALL = "small/internvl3_2b_one_gpu"
INST_IT = "inst_it/inst_it_stage1_projector", "inst_it/inst_it_stage2_continuous"
TOOLS = "sh dirname basename sed tail head tr rm mkdir env"

# What all published recipes have in common, where they say nothing the defaults of the trainer that they used.
PUBLISHED: dict[str, Any] = {
    "model.grad_checkpoint": True,
    "model.vision_select_layer": -1,
    "model.force_image_size": 448,
    "model.down_sample_ratio": 0.5,
    "model.drop_path_rate": 0.0,
    "model.use_backbone_lora": 0,
    "model.use_llm_lora": 0,
    "model.freeze_backbone": True,
    "model.freeze_mlp": False,
    "model.freeze_llm": False,
    "model.vision_path": None,
    "model.mlp_path": None,
    "model.llm_path": None,
    "data.use_data_resampling": False,
    "data.packing": True,
    "data.group_by_length": False,
    "data.loss_reduction": "token",
    "optim.warmup_ratio": 0.03,
    "optim.warmup_steps": None,
    "optim.weight_decay": 0.05,
    "optim.decay": "all",
    "optim.betas": [0.9, 0.999],
    "optim.eps": 1e-8,
    "optim.max_grad_norm": 1.0,
    "optim.final_ratio": 0.0,
    "num_train_epochs": 1,
    "max_steps": None,
    "precision": "bf16-true",
    "seed": 42,
    "save_steps": 200,
    "save_total_limit": 1,
    "log_steps": 1,
    "devices": "auto",
    "nodes": 1,
}
OF_V12 = {
    "model.pretrained": "./pretrained/InternVL-Chat-Chinese-V1-2",
    "model.conv_style": "Hermes-2",
    "model.ps_version": "v1",
    "data.meta_path": "mine.json",
    "data.dynamic_image_size": False,
    "data.use_thumbnail": False,
    "data.pad2square": False,
    "data.max_seq_length": 2048,
    "data.num_workers": 2,
    "optim.learning_rate": 1e-5,
    "strategy": "train/zero/zero_stage3_config.json",
}
OF_V25 = {
    "model.pretrained": "./pretrained/InternVL2_5-8B",
    "model.conv_style": "internvl2_5",
    "model.ps_version": "v2",
    "data.meta_path": "mine.json",
    "data.dynamic_image_size": True,
    "data.use_thumbnail": True,
    "data.max_dynamic_patch": 6,
    "data.max_seq_length": 8192,
    "data.max_packed_tokens": 16384,
    "data.num_workers": 4,
    "optim.learning_rate": 4e-5,
    "strategy": "train/zero/zero_stage1_config.json",
}
OF_INST_IT = OF_V25 | {"data.max_dynamic_patch": 4, "optim.weight_decay": 0.0, "per_device_batch_size": 4}
ADAPTERS = {"model.use_llm_lora": 16, "model.lora_dropout": 0.05, "model.freeze_mlp": True, "model.freeze_llm": True}
HYPER_PARAMETERS: dict[str, dict[str, Any]] = {
    V12: OF_V12
    | {
        "model.pretrained": "",
        # Published as Hermes-2, whose system text was another one later.
        "model.conv_style": "Hermes-2@internvl-v1.2",
        "model.vision_path": "./pretrained/intern_vit_6b_448px_v1_2",
        "model.mlp_path": "./pretrained/intern_vit_6b_448px_v1_2/mlp_projector.pth",
        "model.llm_path": "./pretrained/Nous-Hermes-2-Yi-34B",
        "model.freeze_backbone": False,
        "model.drop_path_rate": 0.4,
        "data.meta_path": "./shell/data/data_yi34b_finetune.json",
        "data.max_packed_tokens": 8 * 2048,
        "batch_size": 512,
        "per_device_batch_size": 8,
    },
    f"{V12}_continue": OF_V12 | {"data.max_packed_tokens": 4 * 2048, "batch_size": 128, "per_device_batch_size": 4},
    f"{V12}_continue_lora": OF_V12
    | ADAPTERS
    | {"batch_size": 16, "per_device_batch_size": 4, "strategy": "train/zero/zero_stage3_config_34b.json"},
    f"{V25}_full": OF_V25 | {"model.drop_path_rate": 0.1, "batch_size": 128, "per_device_batch_size": 4},
    f"{V25}_lora": OF_V25 | ADAPTERS | {"batch_size": 16, "per_device_batch_size": 4},
    V30: OF_V25
    | {
        "model.pretrained": "./pretrained/InternVL3-8B",
        "data.max_dynamic_patch": 12,
        "data.max_seq_length": 16384,
        "optim.learning_rate": 2e-5,
        "batch_size": 128,
        "per_device_batch_size": 4,
    },
    SMALL: OF_V25
    | {
        "model.pretrained": "./pretrained/InternVL3-2B",
        "data.max_dynamic_patch": 12,
        "data.max_packed_tokens": 8192,
        "data.max_packed_tiles": 24,
        "optim.learning_rate": 2e-5,
        "batch_size": 128,
        "per_device_batch_size": 1,
        "strategy": "auto",
        "precision": "auto",
    },
    # What was published of them: the frozen blocks, four tiles and a thumbnail, one tile per frame.
    INST_IT[0]: OF_INST_IT
    | {
        "model.pretrained": "",
        "model.vision_path": "./pretrained/InternViT-300M-448px-V2_5",
        "model.llm_path": "./pretrained/Qwen2.5-7B-Instruct",
        "model.freeze_llm": True,
        "model.unfreeze_vit_layers": 0,
        "optim.learning_rate": 1e-3,
        "optim.vision_learning_rate": None,
        "batch_size": 256,
    },
    INST_IT[1]: OF_INST_IT
    | {
        "model.pretrained": "./pretrained/InternVL3-8B",
        "model.unfreeze_vit_layers": 12,
        "optim.learning_rate": 1e-5,
        "optim.vision_learning_rate": 2e-6,
        "batch_size": 128,
    },
}
TORCHRUN = "-m torch.distributed.run --nnodes=1 --node_rank=0 --master_addr=127.0.0.1"
COMMANDS = {
    V12: "srun -p INTERN2 --gres=gpu:8 --nodes=8 --ntasks=64 --ntasks-per-node=8 --cpus-per-task=10 "
    "--kill-on-bad-exit=1 {python} -u",
    f"{V12}_continue": "srun -p INTERN2 --gres=gpu:8 --nodes=2 --ntasks=16 --ntasks-per-node=8 --cpus-per-task=1 "
    "--kill-on-bad-exit=1 {python} -u",
    f"{V12}_continue_lora": f"{{python}} {TORCHRUN} --nproc_per_node=2 --master_port=34223",
    f"{V25}_full": f"{{python}} {TORCHRUN} --nproc_per_node=8 --master_port=34229",
    f"{V25}_lora": f"{{python}} {TORCHRUN} --nproc_per_node=2 --master_port=34229",
    V30: f"{{python}} {TORCHRUN} --nproc_per_node=8 --master_port=34229",
    SMALL: "srun --gres=gpu:1 --nodes=1 --ntasks=1 --ntasks-per-node=1 --cpus-per-task=10 --kill-on-bad-exit=1 "
    "{python} -u",
    **dict.fromkeys(
        INST_IT,
        "srun --gres=gpu:8 --nodes=1 --ntasks=8 --ntasks-per-node=8 --cpus-per-task=10 --kill-on-bad-exit=1 "
        "{python} -u",
    ),
}
GRADIENT_ACC = {V12: 1, f"{V12}_continue": 2, f"{V12}_continue_lora": 2, f"{V25}_full": 4, f"{V25}_lora": 2, V30: 4}
GRADIENT_ACC |= {INST_IT[0]: 8, INST_IT[1]: 4}


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A PATH on which there is a slurm with the published partition, of which nothing may be started."""
    folder = tmp_path_factory.mktemp("programs")
    for tool in TOOLS.split():
        (folder / tool).symlink_to(shutil.which(tool) or tool)
    for name, text in {"srun": "exit 99", "sinfo": "echo INTERN2"}.items():
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    return folder


def dry_run(name: str, path: Path, *options: str, **variables: str) -> tuple[str, dict[str, Any], str]:
    """The command that a script would start, the merged options by their dotted names, and what it says besides."""
    own = {"PATH": str(path), "HOME": "/", "INTERNVL_PYTHON": sys.executable, "DRY_RUN": "1", **variables}
    done = subprocess.run(
        ["sh", str(ROOT / "shell" / f"{name}.sh"), *options],
        cwd="/",
        env=own,
        text=True,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    command, _, merged = done.stdout.partition("\n")
    values = yaml.safe_load(merged)
    parts = {f"{part}.{key}": value for part in ("model", "data", "optim") for key, value in values[part].items()}
    return command, {**values, **parts}, done.stderr


@pytest.mark.parametrize("name", HYPER_PARAMETERS)
def test_a_script_starts_the_published_run(name: str, programs: Path) -> None:
    options = [] if name == V12 else ["--meta_path", "mine.json"]
    command, merged, said = dry_run(name, programs, *options)
    recipe = f"train/recipes/{Path(name).name}.yaml"
    expected = COMMANDS[name].format(python=shlex.quote(sys.executable))
    assert command == " ".join([expected, "-m train --config", recipe, *options])
    hyper_parameters = PUBLISHED | HYPER_PARAMETERS[name]
    assert {key: merged[key] for key in hyper_parameters} == hyper_parameters
    assert merged["output_dir"] == f"work_dirs/{Path(name).name}"
    accumulation = GRADIENT_ACC.get(name, 128)
    assert said.startswith(f"GRADIENT_ACC={accumulation}: {merged['batch_size']} samples per step = ")


def test_the_published_fine_tuning_on_32_gpus_accumulates_twice(programs: Path) -> None:
    command, merged, said = dry_run(V12, programs, GPUS="32", QUOTA_TYPE="reserved", SRUN_ARGS="--exclusive")
    assert "--nodes=4 --ntasks=32 --ntasks-per-node=8" in command
    assert "--kill-on-bad-exit=1 --quotatype=reserved --exclusive " in command
    assert said.startswith("GRADIENT_ACC=2: 512 samples per step = 8 per device x 32 GPUs x 2")
    command, merged, said = dry_run(V12, programs, PER_DEVICE_BATCH_SIZE="4")
    assert command.endswith(" --per_device_batch_size 4")
    assert (merged["per_device_batch_size"], merged["data.max_packed_tokens"]) == (4, 4 * 2048)
    assert said.startswith("GRADIENT_ACC=2: ")


def test_every_recipe_and_script_is_in_the_tables() -> None:
    names = {Path(name).name for name in HYPER_PARAMETERS}
    assert {path.stem for path in RECIPES} == names | {"quickstart"}
    assert {path.relative_to(ROOT / "shell").with_suffix("").as_posix() for path in SCRIPTS} == set(HYPER_PARAMETERS)
    assert all(os.access(path, os.X_OK) for path in SCRIPTS)


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_parses_and_names_files_that_are_there(recipe: Path) -> None:
    config = parse(["--data.meta_path", "shell/data/data_yi34b_finetune.json", "--config", str(recipe)])
    assert isinstance(config, FinetuneConfig)
    assert config.output_dir == f"work_dirs/{recipe.stem}"
    if config.strategy.endswith(".json"):
        assert Path(config.strategy).parent == Path("train/zero")
        assert not (ROOT / "train/zero").exists() or (ROOT / config.strategy).is_file()


def test_the_published_mixture() -> None:
    data = "playground/data/"
    rows = [
        ("sharegpt4v_instruct_gpt4-vision_cap100k", data, 102025),
        ("llava_instruct_150k_zh", f"{data}coco/", 157712),
        ("sharegpt4v_mix665k_cap23k_coco-ap9k_lcs3k_sam9k_div2k", data, 665058),
        ("dvqa_train_200k", f"{data}dvqa/", 200000),
        ("chartqa_train_18k", f"{data}chartqa/", 18317),
        ("ai2d_train_12k", f"{data}ai2d/", 12413),
        ("docvqa_train_10k", f"{data}docvqa/", 10211),
        ("geoqa+", f"{data}geoqa+/", 72318),
        ("synthdog_en", f"{data}synthdog-en/", 29765),
    ]
    meta = json.loads((ROOT / "shell" / "data" / "data_yi34b_finetune.json").read_text())
    assert [(name, entry["root"], entry["length"]) for name, entry in meta.items()] == rows
    assert sum(entry["length"] for entry in meta.values()) == 1_267_819
    for name, entry in meta.items():
        assert entry["annotation"] == f"playground/{name}.jsonl"
        assert (entry["data_augment"], entry["repeat_time"]) == (False, 1)
