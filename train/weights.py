"""What a run begins with: a checkpoint folder, one that is fetched, or one that is made from its parts."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from internvl.errors import InputError
from internvl.folder import check_folder
from internvl.hub import find_folder, pin_name, split_name
from internvl.model import InternVLChatConfig
from internvl.model.checkpoint import open_checkpoint
from internvl.model.tensors import TensorSource
from internvl.progress import Progress
from train.config import FinetuneConfig

_SIZES = {"force_image_size": "image_size", "down_sample_ratio": "downsample_ratio", "ps_version": "ps_version"}


def prepare_weights(config: FinetuneConfig, *, is_first: bool) -> FinetuneConfig:
    """The options with a checkpoint folder to start from; the first process makes one from parts, the others wait."""
    model, run = config.model, Path(config.output_dir)
    if model.pretrained:
        folder = _find(model.pretrained, run, is_first=is_first)
        check_folder(folder)
        return config if folder == model.pretrained else replace(config, model=replace(model, pretrained=folder))
    target = run / "assembled"
    if is_first:
        _assemble(config, target)
    while not (target / "assembled.json").is_file():
        time.sleep(0.5)
    return replace(config, model=replace(model, pretrained=str(target), vision_path=None, llm_path=None))


def open_weights(config: FinetuneConfig) -> tuple[InternVLChatConfig, TensorSource]:
    """The configuration and the tensors that a run begins with.

    Raises:
        InputError: the options ask for another model than the checkpoint is.
    """
    model_config, source = open_checkpoint(Path(config.model.pretrained))
    for name, key in _SIZES.items():
        wanted, stored = getattr(config.model, name), getattr(model_config, key)
        if wanted not in (None, stored):
            raise InputError(
                f"model.{name}: expected {stored} as in {config.model.pretrained}, got {wanted}; leave it out, or "
                "make a checkpoint with it from parts: python -m internvl assemble --help"
            )
    if config.model.vision_select_layer is not None:
        model_config.select_layer = config.model.vision_select_layer
    return model_config, source


def _find(name: str, run: Path, *, is_first: bool) -> str:
    """The folder of a path or name; what was fetched is the same for all processes, and when the run goes on."""
    if split_name(name) is None:
        return name
    record = run / "fetched.json"
    while True:
        pins = json.loads(record.read_text(encoding="utf-8")) if record.is_file() else {}
        if name in pins:
            return str(find_folder(pins[name], refresh=False))
        if is_first:
            break
        time.sleep(0.5)
    folder = find_folder(name)
    run.mkdir(parents=True, exist_ok=True)
    partial = record.with_name(f".{record.name}.partial")
    partial.write_text(json.dumps(pins | {name: pin_name(name, folder)}, indent=1) + "\n", encoding="utf-8")
    partial.replace(record)
    return str(folder)


def _assemble(config: FinetuneConfig, folder: Path) -> None:
    from internvl.assemble import assemble

    model, data = config.model, config.data
    given: dict[str, Any] = {
        "force_image_size": model.force_image_size,
        "down_sample_ratio": model.down_sample_ratio,
        "ps_version": model.ps_version,
        "template": model.conv_style,
        "select_layer": model.vision_select_layer,
        "dynamic_image_size": data.dynamic_image_size,
        "use_thumbnail": data.use_thumbnail,
        "min_dynamic_patch": data.min_dynamic_patch,
        "max_dynamic_patch": data.max_dynamic_patch,
        "pad2square": data.pad2square,
    }
    with Progress("model from its parts", unit="tensors") as progress:
        assemble(
            folder,
            vision_path=_find(str(model.vision_path), folder.parent, is_first=True),
            llm_path=_find(str(model.llm_path), folder.parent, is_first=True),
            mlp_path=model.mlp_path,
            seed=config.seed,
            progress=progress.update,
            **{name: value for name, value in given.items() if value is not None},
        )
