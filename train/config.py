"""Everything a training run can be told, as dataclasses; no torch here, so that a mistyped option answers at once.

Defaults are those of the published V1.2 fine-tuning run where it has them.
"""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from internvl.errors import InputError

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser


@dataclass
class ModelConfig:
    """What is trained.

    Attributes:
        pretrained: checkpoint folder to start from.
        freeze_backbone: keep the vision tower as it is.
        freeze_mlp: keep the projector as it is.
        freeze_llm: keep the language model as it is.
        drop_path_rate: stochastic depth of the vision tower; a frozen tower has none.
        conv_style: chat template; by default the checkpoint's.
        attention: decoder attention; auto takes flash-attn when it is installed and there is a GPU.
    """

    pretrained: str = ""
    freeze_backbone: bool = False
    freeze_mlp: bool = False
    freeze_llm: bool = False
    drop_path_rate: float = 0.0
    conv_style: str | None = None
    attention: Literal["auto", "sdpa", "flash_attention_2"] = "auto"


@dataclass
class DataConfig:
    """What it is trained on.

    Attributes:
        meta_path: JSON file that names the annotation files (docs/data-format.md), or the manifest of a run.
        use_data_resampling: weigh the annotation files by the square roots of their sizes.
        index_cache: folder for the indexes of the annotation files; by default next to each.
        index_workers: processes that build an index; by default one per core for files that are not small.
        packing: join samples to packs of even work, without padding; false pads them to the longest.
        max_packed_tokens: most tokens of a pack; by default 8192, or max_seq_length where that is more.
        max_packed_tiles: most tiles of a pack.
        group_by_length: with padding, samples of like length share a batch within their step.
        max_seq_length: longest sample in tokens; a longer one is cut at the end.
        dynamic_image_size: cut pictures into tiles; by default as the checkpoint says.
        use_thumbnail: after several tiles, the whole picture as one more.
        min_dynamic_patch: fewest tiles per picture.
        max_dynamic_patch: most tiles per row's pictures, thumbnails not counted.
        resize: pillow gives the published pixels; torch is several times faster and changes a byte in 300 by 1 or 2.
        keep_truncated_pictures: read a picture file that is cut off as far as it goes, as published; by default its row
            is a bad one.
        min_num_frame: fewest frames of a video; how many are taken is drawn once per video.
        max_num_frame: most frames of a video.
        frame_sampling: which frames: a random one of each part (rand), the middle of each (middle), or a rate (fps1).
        loss_reduction: every answer token counts alike (token), every sample (sample), or in between (square: each
            sample by the square root of its answer tokens).
        max_bad_share: the run stops when more of its samples cannot be used.
        max_repetition: an answer in which more of its runs of ten words repeat makes a row bad; by default none does.
        num_workers: processes per rank that prepare rows.
    """

    meta_path: str = ""
    use_data_resampling: bool = False
    index_cache: str | None = None
    index_workers: int | None = None
    packing: bool = True
    max_packed_tokens: int | None = None
    max_packed_tiles: int = 48
    group_by_length: bool = False
    max_seq_length: int = 2048
    dynamic_image_size: bool | None = None
    use_thumbnail: bool | None = None
    min_dynamic_patch: int | None = None
    max_dynamic_patch: int | None = None
    resize: Literal["pillow", "torch"] = "pillow"
    keep_truncated_pictures: bool = False
    min_num_frame: int = 8
    max_num_frame: int = 32
    frame_sampling: str = "rand"
    loss_reduction: Literal["token", "sample", "square"] = "token"
    max_bad_share: float = 0.01
    max_repetition: float | None = None
    num_workers: int = 2

    def __post_init__(self) -> None:
        if self.max_packed_tokens is None:
            self.max_packed_tokens = max(8192, self.max_seq_length)
        if self.packing and self.group_by_length:
            raise InputError(
                "data.group_by_length: expected false with data.packing, got true; it groups padded batches, set "
                "--data.packing false to use it"
            )
        for name in ("max_bad_share", "max_repetition"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= 1:
                raise InputError(f"data.{name}: expected a share from 0 to 1, got {value}; give a part of 1")
        for name, least in (("num_workers", 0), ("index_workers", 0), ("max_seq_length", 1), ("max_packed_tiles", 1)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise InputError(f"data.{name}: expected at least {least}, got {value}; give a larger number")
        if self.packing and self.max_packed_tokens < self.max_seq_length:
            raise InputError(
                f"data.max_packed_tokens: expected at least data.max_seq_length ({self.max_seq_length}), got "
                f"{self.max_packed_tokens}; raise it, or lower the maximum length"
            )

    @property
    def tiling(self) -> dict[str, Any]:
        """The tiling options that were given, under the tiler's names."""
        given = {
            "dynamic": self.dynamic_image_size,
            "thumbnail": self.use_thumbnail,
            "min_tiles": self.min_dynamic_patch,
            "max_tiles": self.max_dynamic_patch,
            "resize": self.resize,
            "refuse_truncated": not self.keep_truncated_pictures,
        }
        return {name: value for name, value in given.items() if value is not None}


@dataclass
class OptimConfig:
    """How it is trained.

    Attributes:
        learning_rate: peak learning rate.
        final_ratio: the cosine ends at this share of the peak.
        warmup_ratio: share of all steps with a rising learning rate.
        weight_decay: of AdamW.
        decay: all parameters, as published, or matrices only (no norms, biases, scales).
        betas: of AdamW.
        eps: of AdamW.
        max_grad_norm: gradients are scaled down to this norm.
    """

    learning_rate: float = 1e-5
    final_ratio: float = 0.0
    warmup_ratio: float = 0.03
    weight_decay: float = 0.05
    decay: Literal["all", "matrices"] = "all"
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    max_grad_norm: float = 1.0


@dataclass
class FinetuneConfig:
    """One run of supervised fine-tuning.

    Attributes:
        model: what is trained.
        data: what it is trained on.
        optim: how it is trained.
        output_dir: the run folder: checkpoints, TensorBoard log, merged config, exported model.
        batch_size: samples per optimiser step, over all devices.
        per_device_batch_size: with padding, samples per device and forward; packs take what fits their budget.
        num_train_epochs: passes over the data.
        max_steps: stop after this many optimiser steps instead.
        devices: how many, or auto: all GPUs, or one CPU process.
        precision: of Lightning's Trainer; auto is bf16-mixed on a GPU that has it, else 32-true.
        seed: of the order of samples and of everything random.
        save_steps: write a checkpoint every so many steps.
        save_total_limit: keep this many of them.
        log_steps: write a line and TensorBoard points every so many steps.
        overwrite: begin anew; by default a run goes on from its last checkpoint.
    """

    model: ModelConfig = field(default_factory=ModelConfig)
    data: DataConfig = field(default_factory=DataConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    output_dir: str = "work_dirs/finetune"
    batch_size: int = 128
    per_device_batch_size: int = 4
    num_train_epochs: float = 1.0
    max_steps: int | None = None
    devices: int | Literal["auto"] = "auto"
    precision: Literal["auto", "32-true", "bf16-mixed", "bf16-true"] = "auto"
    seed: int = 42
    save_steps: int = 200
    save_total_limit: int = 1
    log_steps: int = 1
    overwrite: bool = False

    def __post_init__(self) -> None:
        names = ("batch_size", "per_device_batch_size", "max_steps", "devices", "save_steps", "save_total_limit")
        counts = {name: getattr(self, name) for name in (*names, "log_steps")}
        for name, value in counts.items():
            if isinstance(value, int) and value < 1:
                raise InputError(f"{name}: expected at least 1, got {value}; give a positive number")
        if self.num_train_epochs <= 0:
            raise InputError(f"num_train_epochs: expected more than 0, got {self.num_train_epochs}; give a part of 1")


SHORT = {
    "--meta_path": "--data.meta_path",
    "--model_name_or_path": "--model.pretrained",
    "--num_images_expected": "--data.max_packed_tiles",
    "--use_packed_ds": "--data.packing",
    **{
        f"--{name}": f"--data.{name}"
        for name in ("max_packed_tokens", "max_seq_length", "group_by_length", "loss_reduction", "max_dynamic_patch")
    },
}
"""Published spellings of options."""


def build_parser() -> ArgumentParser:
    """The command line: a recipe and options that replace its values."""
    from jsonargparse import ActionConfigFile, ArgumentParser

    parser = ArgumentParser(
        prog="python -m train",
        description="Fine-tune an InternVL-Chat model. A recipe is a YAML file of these options; options on the "
        "command line win. The merged result is written to the run folder and repeats the run.",
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
    for name, value in (("model.pretrained", config.model.pretrained), ("data.meta_path", config.data.meta_path)):
        if not value:
            raise InputError(f"{name}: expected a path, got none; give --{name} or name it in the recipe")
    return config


def write_config(config: FinetuneConfig, path: Path) -> None:
    """Write the merged options; `--config` with this file repeats the run."""
    from dataclasses import asdict

    import yaml

    values = asdict(config)
    values["optim"]["betas"] = list(values["optim"]["betas"])
    path.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")


def _build(values: dict[str, Any]) -> FinetuneConfig:
    """The dataclasses of the parser's values; its own way to make them has another name in every second version."""
    parts: dict[str, Any] = {"model": ModelConfig, "data": DataConfig, "optim": OptimConfig}
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
    build_parser().print_help(sys.stdout)
