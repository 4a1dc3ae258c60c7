"""The parts of a chat checkpoint as they are published: two folders, and the file of a projector.

Every tensor of a part is used, or the part is refused.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from internvl.errors import InputError, MissingError
from internvl.folder import check_folder, weight_files
from internvl.model.checkpoint import open_checkpoint
from internvl.model.configuration import InternVisionConfig, InternVLChatConfig, language_config
from internvl.model.layout import as_in_memory, drop_derived
from internvl.model.projector import build_projector
from internvl.model.tensor_folder import TensorFolder
from internvl.model.tensors import TensorDict, TensorSource, select


def open_vision(folder: Path) -> tuple[InternVisionConfig, TensorSource]:
    """An InternViT, by itself or in a chat checkpoint, under the names of our vision tower, and its configuration."""
    values = _read_config(folder, "vision_path")
    if is_chat(values):
        chat, tensors = open_checkpoint(check_folder(folder))
        return chat.vision_config, _select_part(tensors, "vision_model.")
    kind = values.get("model_type")
    if kind != InternVisionConfig.model_type:
        raise InputError(
            f"vision_path: expected model_type {InternVisionConfig.model_type} in {folder / 'config.json'}, got "
            f"{kind!r}; give the folder of an InternViT"
        )
    source = TensorFolder(folder)
    config: InternVisionConfig = _make_config(InternVisionConfig.from_dict, values, folder, "vision_path")
    return config, select(source, {name.removeprefix("vision_model."): name for name in source.shapes})


def open_part(role: str, path: Path) -> TensorSource:
    """The tensors of a vision tower or of a projector that was taken out of a chat checkpoint.

    Args:
        role: "vision" or "projector".
        path: folder of the one, or file of the other.
    """
    if role == "vision":
        return open_vision(path)[1]
    return TensorDict(torch.load(path, map_location="cpu", weights_only=True))


def is_chat(values: Mapping[str, Any]) -> bool:
    """Whether a config.json is that of a chat model, in any layout."""
    return "vision_config" in values


def open_language(folder: Path) -> tuple[Any, TensorSource]:
    """A language model, by itself or in a chat checkpoint, under the names of transformers, and its configuration."""
    values = _read_config(folder, "llm_path")
    if is_chat(values):
        chat, tensors = open_checkpoint(check_folder(folder))
        return chat.llm_config, _select_part(tensors, "language_model.")
    config = _make_config(language_config, values, folder, "llm_path")
    stored = drop_derived(TensorFolder(folder))
    source = as_in_memory(select(stored, {f"language_model.{name}": name for name in stored.shapes}), config)
    bare = {name.removeprefix("language_model."): name for name in source.shapes}
    if "lm_head.weight" in bare:
        # A stored head counts, whatever the configuration says about tying, as in published chat checkpoints.
        config.tie_word_embeddings = False
    config.dtype = next(iter(source.dtypes.values()))
    return config, select(source, bare)


def open_projector(path: Path, wanted: nn.Module, between: str) -> dict[str, Tensor]:
    """The tensors of a projector file, not yet read.

    Args:
        path: what `torch.save` made of its state, or a chat checkpoint.
        wanted: a projector of the right widths.
        between: what the widths come from, for the error.
    """
    if path.is_dir():
        _, tensors = open_checkpoint(check_folder(path))
        part = _select_part(tensors, "mlp1.")
        return _check_projector(
            {n: part.read(n).view(shape) for n, shape in part.shapes.items()}, path, wanted, between
        )
    try:
        state = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        projector = {name.removeprefix("mlp1."): tensor for name, tensor in state.items()}
        return _check_projector(projector, path, wanted, between)
    except InputError:
        raise
    except Exception as error:  # the unpickler raises whatever a file makes it raise
        reason = str(error).partition("\n")[0][:160]
        raise InputError(
            f"mlp_path: expected tensors by name, written by torch.save, in {path}, got {type(error).__name__}: "
            f"{reason}; copy the file again"
        ) from None


def _check_projector(projector: dict[str, Tensor], path: Path, wanted: nn.Module, between: str) -> dict[str, Tensor]:
    shapes = {name: tuple(tensor.shape) for name, tensor in projector.items()}
    expected = {name: tuple(parameter.shape) for name, parameter in wanted.named_parameters()}
    if shapes.keys() != expected.keys():
        raise InputError(
            f"mlp_path: expected the tensors {', '.join(expected)} in {path}, got {', '.join(shapes) or 'none'}; "
            "give the file of an InternVL projector"
        )
    wrong = next((name for name in expected if shapes[name] != expected[name]), None)
    if wrong is not None:
        raise InputError(
            f"mlp_path: expected {wrong} of shape {expected[wrong]}, from {between}, got {shapes[wrong]} in {path}; "
            "give parts that belong together, or their down_sample_ratio"
        )
    return {name: projector[name] for name in expected}


def make_projector(config: InternVLChatConfig, seed: int) -> dict[str, Tensor]:
    """A new one, in the type of the language model."""
    widths = config.vision_config.hidden_size, config.llm_config.hidden_size
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        projector = build_projector(*widths, config.downsample_ratio)
    return dict(projector.to(config.llm_config.dtype).state_dict())


def _select_part(source: TensorSource, prefix: str) -> TensorSource:
    return select(source, {n.removeprefix(prefix): n for n in source.shapes if n.startswith(prefix)})


def _make_config(make: Callable[[dict[str, Any]], Any], values: dict[str, Any], folder: Path, option: str) -> Any:
    try:
        return make(values)
    except InputError as error:
        raise InputError(f"{option}: {folder / 'config.json'}: {error}") from None
    except Exception as error:  # what transformers raises about a value differs from model to model
        reason = " ".join(str(error).split())[:160]
        raise InputError(
            f"{option}: expected values in {folder / 'config.json'} that transformers takes, got {reason}; "
            "copy it again"
        ) from None


def _read_config(folder: Path, option: str) -> dict[str, Any]:
    if not folder.is_dir():
        raise MissingError(f"{option}: expected a folder, got {folder}, which is none; check the path")
    missing = [path.name for path in weight_files(folder) if not path.is_file()]
    if missing:
        raise MissingError(
            f"{option}: expected weights in {folder}, got no {', '.join(missing[:3])}; finish the download, or load "
            "the model with transformers and save it again"
        )
    path = folder / "config.json"
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{option}: expected JSON in {path}, got {error}; copy it again") from None
    if not isinstance(values, dict):
        raise InputError(f"{option}: expected an object in {path}, got {type(values).__name__}; copy it again")
    return values
