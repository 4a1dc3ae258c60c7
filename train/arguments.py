"""The command line of a training run: a recipe, options that replace its values, and the published spellings."""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from internvl.errors import InputError
from internvl.hub import split_name
from train.config import DataConfig, EvalConfig, FinetuneConfig, ModelConfig, OptimConfig

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser

_MODEL_OPTIONS = (
    *("vision_path", "mlp_path", "llm_path", "freeze_backbone", "freeze_mlp", "freeze_llm", "unfreeze_vit_layers"),
    *("unfreeze_lm_head", "use_backbone_lora", "use_llm_lora", "drop_path_rate", "grad_checkpoint", "ps_version"),
    *("vision_select_layer", "force_image_size", "down_sample_ratio", "conv_style"),
)
_DATA_OPTIONS = (
    *("max_packed_tokens", "max_seq_length", "group_by_length", "loss_reduction", "min_dynamic_patch"),
    *("max_dynamic_patch", "dynamic_image_size", "use_thumbnail", "pad2square", "use_data_resampling"),
    *("min_num_frame", "max_num_frame"),
)
SHORT = {
    "--meta_path": "--data.meta_path",
    "--model_name_or_path": "--model.pretrained",
    "--num_images_expected": "--data.max_packed_tiles",
    "--use_packed_ds": "--data.packing",
    "--dataloader_num_workers": "--data.num_workers",
    "--per_device_train_batch_size": "--per_device_batch_size",
    "--deepspeed": "--strategy",
    "--logging_steps": "--log_steps",
    "--overwrite_output_dir": "--overwrite",
    "--resume_from_checkpoint": "--resume_from",
    **{f"--{name}": f"--model.{name}" for name in _MODEL_OPTIONS},
    **{f"--{name}": f"--optim.{name}" for name in ("learning_rate", "weight_decay", "warmup_ratio", "warmup_steps")},
    **{f"--{name}": f"--data.{name}" for name in _DATA_OPTIONS},
}
"""Published spellings of options."""


def build_parser() -> ArgumentParser:
    """The command line: a recipe and options that replace its values."""
    from jsonargparse import ActionConfigFile, ArgumentParser

    parser = ArgumentParser(
        prog="python -m train",
        description="Fine-tune an InternVL-Chat model. A recipe is a YAML file of these options; options on the "
        "command line win. The merged result is written to the run folder and repeats the run. `python -m train "
        "convert-inst-it --help` is about making training data of the Inst-It Dataset.",
        exit_on_error=False,
        allow_abbrev=False,
    )
    parser.add_argument("--config", action=ActionConfigFile, help="a recipe, for example train/recipes/quickstart.yaml")
    parser.add_class_arguments(FinetuneConfig, as_group=False)
    return parser


def parse(arguments: Sequence[str]) -> FinetuneConfig:
    """Read the command line.

    Raises:
        InputError: an unknown option (with the closest known ones), a wrong value or a missing one.
    """
    import argparse

    parser = build_parser()
    words = []
    for word in arguments:
        name, equals, value = word.partition("=")
        words.append(SHORT.get(name, name) + equals + value)
    _check_names(parser, words)
    try:
        config = _build(parser.parse_args(words).as_dict())
    except (argparse.ArgumentError, TypeError) as error:
        raise InputError(_shorten(str(error))) from None
    _check_paths(config)
    return config


def _check_paths(config: FinetuneConfig) -> None:
    model = config.model
    parts = model.vision_path, model.llm_path
    for named in (model.pretrained, *parts):
        split_name(named or "")
    if model.pretrained and any((*parts, model.mlp_path)):
        raise InputError(
            "model.pretrained: expected either a checkpoint or its parts (vision_path, mlp_path, llm_path), got both; "
            "leave one out"
        )
    if any(parts) and not all(parts):
        raise InputError("model.vision_path: expected it together with llm_path, got one alone; give both")
    for name, value in (
        ("model.pretrained", model.pretrained or all(parts)),
        ("data.meta_path", config.data.meta_path),
    ):
        if not value:
            raise InputError(f"{name}: expected a path, got none; give --{name} or name it in the recipe")


def write_config(config: FinetuneConfig, path: Path) -> None:
    """Write the merged options; `--config` with this file repeats the run."""
    path.write_text(format_config(config), encoding="utf-8")


def format_config(config: FinetuneConfig) -> str:
    """The merged options as the text of a recipe."""
    from dataclasses import asdict

    import yaml

    values = asdict(config)
    values["optim"]["betas"] = list(values["optim"]["betas"])
    return yaml.safe_dump(values, sort_keys=False)


def _build(values: dict[str, Any]) -> FinetuneConfig:
    """The dataclasses of the parser's values; its own way to make them has another name in every second version."""
    parts: dict[str, Any] = {"model": ModelConfig, "data": DataConfig, "optim": OptimConfig, "eval": EvalConfig}
    options = {name: value for name, value in values.items() if name != "config"}
    return FinetuneConfig(**options | {name: make(**options[name]) for name, make in parts.items()})


def _check_names(parser: ArgumentParser, words: Sequence[str]) -> None:
    known = [option for action in parser._actions for option in action.option_strings if option.startswith("--")]
    for word in words:
        name = word.split("=", 1)[0]
        if name.startswith("--") and name not in known:
            close = difflib.get_close_matches(name, known, n=2, cutoff=0.5)
            hint = f"did you mean {' or '.join(close)}?" if close else "see python -m train --help"
            raise InputError(f"option: expected a known name, got {name}; {hint}")


def _shorten(message: str) -> str:
    """The parser's message on one line, without its advice about other tools."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    text = re.sub(r"\s+", " ", " ".join(lines))[:400]
    return f"option: expected valid values, got {text}; see python -m train --help"


if __name__ == "__main__":
    try:
        sys.stdout.write(format_config(parse(sys.argv[1:])))
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
