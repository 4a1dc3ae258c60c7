"""A checkpoint in another layout, or a part of it, tensor by tensor: `python -m internvl convert`."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from internvl.assemble import Whole, join, resize_tiles
from internvl.certificate.certify import Certificate, certify, certify_part
from internvl.errors import InputError
from internvl.folder import check_folder, read_config, read_json, write_json
from internvl.internlm2_config import to_internlm2_config
from internvl.model import internlm2, native
from internvl.model.checkpoint import (
    check_names,
    make_empty,
    open_checkpoint,
    round_tensor,
    save_config,
    write_tensors,
)
from internvl.model.layout import as_stored
from internvl.model.shards import MAX_BYTES, refuse_place, replace_folder
from internvl.model.tensors import MadeTensors, Overlay, Rearranged, TensorSource, select
from internvl.native.files import save_native_files
from internvl.processor import InternVLProcessor, template_of

_Write = Callable[[TensorSource], None]
_OF_THE_WHOLE = (
    *("vision_config", "llm_config", "architectures", "model_type", "auto_map", "hidden_size", "torch_dtype", "dtype"),
    *("image_context_token_id", "tie_word_embeddings", "transformers_version"),
)
"""Keys of config.json that another language model changes."""


@dataclass(frozen=True, slots=True)
class Conversion:
    """What is to be written.

    Attributes:
        source: folder of a chat checkpoint.
        to: "internvl", "hf", "internlm2", "vision" or "projector".
        llm_path: folder of a language model that replaces the present one.
        force_image_size: side of a tile that replaces the present one.
        dtype: of the weights; None keeps theirs.
        seed: of rows of the input embeddings that a replaced language model gets for new tokens.
    """

    source: Path
    to: str
    llm_path: Path | None = None
    force_image_size: int | None = None
    dtype: torch.dtype | None = None
    seed: int = 0


def convert(
    conversion: Conversion,
    output: str | Path,
    *,
    overwrite: bool = False,
    max_bytes: int = MAX_BYTES,
    progress: Callable[[int, int], None] | None = None,
) -> Mapping[str, str]:
    """Write it; no more than one of its files is in memory, and neither an error nor a kill leaves a half of it.

    Args:
        conversion: what is to be written.
        output: a new folder, or a file for a projector.
        overwrite: whether it may replace one.
        max_bytes: of a file of weights.
        progress: is told how many tensors are written, and how many there are.

    Returns:
        In what the inputs that other programs give the model can differ from ours, by name.

    Raises:
        InputError: the checkpoint is broken, or the layout cannot hold it.
    """
    output = Path(output)
    _check_output(conversion, output, overwrite)
    whole = open_whole(conversion)
    if conversion.to == "projector":
        _write_projector(output, whole.tensors, conversion.dtype)
        return {}
    with replace_folder(output) as folder:
        write = partial(write_tensors, folder, dtype=conversion.dtype, max_bytes=max_bytes, progress=progress)
        differences = _WRITERS[conversion.to](folder, whole, conversion.dtype, write)
        if conversion.to in ("internvl", "internlm2"):
            _keep_code(conversion.source, folder)
        return differences


def certify_conversion(
    conversion: Conversion,
    output: Path,
    differences: Mapping[str, str],
    *,
    dtype: torch.dtype | None = None,
    device: str | None = None,
) -> Certificate:
    """Prove what was written, and write certificate.json.

    Args:
        conversion: what was done.
        output: what was written.
        differences: that `convert` told.
        dtype, device: to compute in; by default as good and as fast as memory permits.

    Raises:
        InputError: there is not enough memory to load the model.
    """
    names = ("to", "llm_path", "force_image_size", "dtype", "seed")
    options = {name: getattr(conversion, name) for name in names if getattr(conversion, name) is not None}
    source = conversion.source
    if conversion.to in ("vision", "projector"):
        return certify_part(conversion.to, source=source, output=output, options=options, dtype=dtype, device=device)
    known = {name: differences["thumbnail"] for name in ("prompts", "pixels") if "thumbnail" in differences}
    given: dict[str, Any] = {"options": options, "known": known, "dtype": dtype, "device": device}
    if conversion.llm_path is not None or conversion.force_image_size is not None:
        paths = {"vision_path": source, "mlp_path": source, "llm_path": conversion.llm_path or source}
        return certify("convert", source=paths, output=output, **given)
    return certify("convert", source=source, output=output, **given)


def open_whole(conversion: Conversion) -> Whole:
    """The chat model that is converted, every tensor of it accounted for."""
    folder = check_folder(conversion.source)
    if conversion.llm_path is not None:
        return _replace_language(conversion, folder)
    config, tensors = open_checkpoint(folder)
    check_names(make_empty(deepcopy(config)), tensors, folder)
    if conversion.force_image_size is not None:
        made = resize_tiles(config, tensors, conversion.force_image_size)
        tensors = Overlay(MadeTensors(made), tensors)
        check_names(make_empty(deepcopy(config)), tensors, folder)
    processor = InternVLProcessor.from_pretrained(folder)
    processor.tiler = replace(processor.tiler, image_size=config.image_size)
    processor.tokens_per_tile = config.tokens_per_tile
    return Whole(config, processor, tensors)


def _replace_language(conversion: Conversion, folder: Path) -> Whole:
    values = read_config(folder)
    keys: dict[str, Any] = {name: value for name, value in values.items() if name not in _OF_THE_WHOLE}
    keys["system_message"] = template_of(values).system
    keys["force_image_size"] = conversion.force_image_size or keys.get("force_image_size")
    assert conversion.llm_path is not None
    paths = {"vision_path": folder, "mlp_path": folder, "llm_path": conversion.llm_path}
    return join(paths, keys, conversion.seed)


def _check_output(conversion: Conversion, output: Path, overwrite: bool) -> None:
    parts = [path.resolve() for path in (conversion.source, conversion.llm_path) if path is not None]
    there = output.resolve()
    if any(there in (part, *part.parents) or part in there.parents for part in parts):
        raise InputError(f"--output: expected a place outside of the source, got {output}; choose another")
    if conversion.to == "projector" and output.suffix != ".pth":
        raise InputError(f"--output: expected a name that ends with .pth for a projector, got {output}; give one")
    is_there = output.exists() and not (output.is_dir() and not any(output.iterdir()))
    if is_there and not overwrite:
        raise InputError(
            f"--output: expected a new place, got {output}, which is there; choose another, or add --overwrite"
        )
    is_file = conversion.to == "projector"
    if is_there and (output.is_file() != is_file or (output.is_dir() and not (output / "config.json").is_file())):
        raise InputError(f"--output: expected a checkpoint to overwrite, got {output}, which is none; choose another")


def _write_chat(folder: Path, whole: Whole, dtype: torch.dtype | None, write: _Write) -> Mapping[str, str]:
    """The layout of OpenGVLab, with a decoder that transformers has."""
    write(as_stored(whole.tensors))
    save_config(folder, whole.config, find_types(whole, dtype), whole.processor)
    return {}


def _write_internlm2(folder: Path, whole: Whole, dtype: torch.dtype | None, write: _Write) -> Mapping[str, str]:
    """The layout of OpenGVLab with an InternLM2."""
    llm = whole.config.llm_config
    values = to_internlm2_config(llm.to_dict())
    heads = {"num_heads": llm.num_attention_heads, "num_kv_heads": llm.num_key_value_heads}
    stored = Rearranged(whole.tensors, internlm2.to_internlm2(whole.tensors.shapes, **heads))
    write(stored)
    save_config(folder, whole.config, find_types(whole, dtype), whole.processor)
    config = read_config(folder)
    write_json(folder / "config.json", config | {"llm_config": values | {"torch_dtype": config["torch_dtype"]}})
    return {}


def _keep_code(source: Path, folder: Path) -> None:
    """Copy the code that a published folder brings, if all of it is there: others ask for it, we never run it."""
    references = read_json(source / "config.json").get("auto_map") or {}
    # A name with two dashes is that of another repository.
    files = {source / f"{str(name).partition('.')[0]}.py" for name in references.values() if "--" not in str(name)}
    if not files or not all(path.is_file() for path in files):
        return
    for path in source.glob("*.py"):
        shutil.copyfile(path, folder / path.name)
    config = read_json(folder / "config.json")
    write_json(folder / "config.json", config | {"auto_map": references})


def _write_native(folder: Path, whole: Whole, dtype: torch.dtype | None, write: _Write) -> Mapping[str, str]:
    """The layout of transformers' own class."""
    # First, because it refuses what that class cannot compute.
    words = find_types(whole, dtype)["language_model.model.embed_tokens.weight"]
    differences = save_native_files(folder, whole.config, words, whole.processor)
    stored = as_stored(whole.tensors)
    source = Rearranged(stored, native.to_native(stored.shapes))
    write(source)
    return differences


def _write_vision(folder: Path, whole: Whole, dtype: torch.dtype | None, write: _Write) -> Mapping[str, str]:
    """The vision tower alone."""
    prefix = "vision_model."
    names = {n.removeprefix(prefix): n for n in whole.tensors.shapes if n.startswith(prefix)}
    write(select(whole.tensors, names))
    config = whole.config.vision_config
    config.architectures = ["InternVisionModel"]
    config.dtype = find_types(whole, dtype)[f"{prefix}embeddings.class_embedding"]
    config.drop_path_rate = 0.0
    config.__dict__.pop("auto_map", None)
    config.save_pretrained(folder)
    return {}


_WRITERS = {"internvl": _write_chat, "internlm2": _write_internlm2, "hf": _write_native, "vision": _write_vision}


def _write_projector(output: Path, tensors: TensorSource, dtype: torch.dtype | None) -> None:
    prefix = "mlp1."
    shapes = {name: shape for name, shape in tensors.shapes.items() if name.startswith(prefix)}
    state = {name.removeprefix(prefix): tensors.read(name).view(shape) for name, shape in shapes.items()}
    if dtype is not None:
        state = {name: round_tensor(prefix + name, tensor, dtype) for name, tensor in state.items()}
    partial = output.with_name(f".{output.name}.partial")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as stream:  # by its path, torch tells no reason
            torch.save(state, stream)
        os.replace(partial, output)
    except OSError as error:
        raise refuse_place(output, error) from error
    finally:
        if partial.is_file():
            partial.unlink()


def find_types(whole: Whole, dtype: torch.dtype | None) -> dict[str, torch.dtype]:
    """The types of the tensors as they are written."""
    return {name: dtype or stored for name, stored in whole.tensors.dtypes.items()}
