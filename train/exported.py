"""From a training checkpoint to a `from_pretrained` folder, tensor by tensor: no model is built and none gathered."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from internvl.model import InternVLChatConfig
from internvl.model.checkpoint import save_config, write_tensors
from internvl.model.layout import as_stored
from internvl.model.shards import replace_folder
from internvl.model.tensors import Overlay, Subset, TensorSource
from internvl.processor import InternVLProcessor
from train.config import ModelConfig
from train.parts import PARTS, find_adapter, is_adapter, list_adapters
from train.state import SavedState


def export_model(
    folder: Path,
    state: SavedState,
    base: TensorSource,
    config: InternVLChatConfig,
    processor: InternVLProcessor,
    options: ModelConfig,
    dtype: torch.dtype,
) -> Path:
    """Write the trained model, adapters merged into their layers; and the adapters by themselves, in peft's layout.

    Args:
        folder: to write to; what is there stays until the new one is whole.
        state: what was trained.
        base: what it began with, for all that was not.
        config: of the model.
        processor: whose tokenizer and options belong to it.
        options: of the adapters.
        dtype: of the written weights.
    """
    config = deepcopy(config)  # a run may go on with its own
    config.vision_config.drop_path_rate = 0.0
    with replace_folder(folder) as partial:
        trained = _Trained(base, state, options)
        write_tensors(partial, as_stored(trained), dtype)
        for key, value in processor.list_options().items():
            setattr(config, key, value)  # it is to be used as it was trained
        save_config(partial, config, dict.fromkeys(trained.shapes, dtype), processor)
        for part in PARTS:
            _write_adapters(partial, part, state, options)
    return folder


class _Trained(Overlay):
    """What was trained over what it began with, adapters merged.

    Args:
        base: what it began with.
        state: what was trained.
        options: of the adapters.
    """

    def __init__(self, base: TensorSource, state: SavedState, options: ModelConfig) -> None:
        trained = {name for name in state.shapes if not is_adapter(name)}
        super().__init__(Subset(state, trained), base)
        self.state = state
        self.alpha = options.lora_alpha

    def read(self, name: str, start: int = 0, stop: int | None = None) -> Tensor:
        """The elements [start, stop) of a tensor, counted row by row."""
        first, second = find_adapter(name)
        if first not in self.state.shapes:
            return super().read(name, start, stop)
        reading, writing = (self.state.read(each).view(self.state.shapes[each]) for each in (first, second))
        rank = len(reading)
        added = writing @ reading * ((self.alpha or 2 * rank) / rank)
        return (super().read(name).float() + added.flatten())[start:stop]


def _write_adapters(folder: Path, part: str, state: SavedState, options: ModelConfig) -> None:
    """The adapters of a part as `PeftModel.from_pretrained` reads them."""
    names = [name for name in state.shapes if is_adapter(name) and name.startswith(f"{part}.")]
    if not names:
        return
    target = folder / "adapters" / part
    target.mkdir(parents=True)
    settings: Any = list_adapters(part, names, state.shapes, options)
    settings.save_pretrained(target)
    tensors = {
        f"base_model.model.{name.removeprefix(f'{part}.').replace('.default.', '.')}": state.read(name)
        .view(state.shapes[name])
        .contiguous()
        for name in names
    }
    save_file(tensors, target / "adapter_model.safetensors", metadata={"format": "pt"})
