"""A chat checkpoint out of its parts: a vision tower, a projector and a language model, tensor by tensor."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor

from internvl.errors import InputError, MissingError
from internvl.folder import check_folder
from internvl.growth import add_special_tokens, grow_input, grow_output, resize_positions
from internvl.hub import find_folder
from internvl.model import InternVLChatConfig, InternVLChatModel
from internvl.model.checkpoint import check_names, make_empty, save_config, write_tensors
from internvl.model.layout import as_stored
from internvl.model.shards import MAX_BYTES, replace_folder
from internvl.model.tensors import Made, MadeTensors, Overlay, TensorDict, TensorSource, put_together
from internvl.parts import make_projector, open_language, open_projector, open_vision
from internvl.processor import InternVLProcessor
from internvl.template import ChatTemplate, find_template
from internvl.tiler import ImageTiler
from internvl.tokenizer import read_tokenizer
from internvl.tokens import IMAGE_CONTEXT

RECORD = "assembled.json"
"""What a folder was assembled from; the same again is not written again."""
_POSITIONS = "vision_model.embeddings.position_embedding"


def assemble(
    output: str | Path,
    *,
    vision_path: str | Path,
    llm_path: str | Path,
    mlp_path: str | Path | None = None,
    force_image_size: int | None = None,
    down_sample_ratio: float = 0.5,
    ps_version: str = "v2",
    template: str = "Hermes-2",
    select_layer: int = -1,
    seed: int = 0,
    max_bytes: int = MAX_BYTES,
    progress: Callable[[int, int], None] | None = None,
    **keys: Any,
) -> Path:
    """Write a chat checkpoint; no more than one of its files is in memory, and a kill leaves no half of it.

    Args:
        output: a new folder, or one that was assembled before: it is kept if the same is asked for, else replaced.
        vision_path: folder of an InternViT, or its name on the hub.
        llm_path: folder of a language model with its tokenizer, or its name on the hub.
        mlp_path: file with the tensors of a projector; by default it is a new one.
        force_image_size: side of a tile; by default the vision tower's.
        down_sample_ratio: of the pixel shuffle.
        ps_version: of the pixel shuffle; the projectors of V1.1 and V1.2 were trained with v1.
        template: name of the chat template.
        select_layer: hidden state of the vision tower that is used.
        seed: of what is new: a projector, rows of the input embeddings.
        max_bytes: of a file of weights.
        progress: is told how many tensors are written, and how many there are.
        keys: further keys of config.json, such as `dynamic_image_size`.

    Raises:
        InputError: a part is missing or broken, or they do not fit together.
    """
    output = Path(output)
    chosen = {
        "force_image_size": force_image_size,
        "downsample_ratio": down_sample_ratio,
        "ps_version": ps_version,
        "select_layer": select_layer,
        **_template_keys(find_template(template)),
        **keys,
    }
    paths = {"vision_path": find_folder(vision_path), "llm_path": find_folder(llm_path)}
    if mlp_path:
        paths["mlp_path"] = Path(mlp_path)
    record = _make_record(paths, chosen | {"seed": seed, "max_bytes": max_bytes})
    if _is_there(output, record):
        return output
    _write(output, join(paths, chosen, seed), record, max_bytes, progress)
    return output


def _template_keys(template: ChatTemplate) -> dict[str, Any]:
    """The keys of config.json that lead back to the template; under its published name where that is enough."""
    published = template.name.partition("@")[0]
    found = find_template(published).with_system(template.system)
    name = published if replace(found, name=template.name) == template else template.name
    return {"template": name, "system_message": template.system}


def _make_record(paths: Mapping[str, Path], options: Mapping[str, Any]) -> dict[str, Any]:
    """What decides what is written: the parts, the sizes and times of their files, and the options."""
    inputs = {}
    for name, path in paths.items():
        if not path.exists():
            raise MissingError(f"{name}: expected a file or folder, got {path}, which does not exist; check the path")
        files = sorted(file for file in path.iterdir() if file.is_file()) if path.is_dir() else [path]
        states = {file.name: file.stat() for file in files}
        sizes = {file: [state.st_size, state.st_mtime_ns] for file, state in states.items()}
        inputs[name] = {"path": str(path.resolve()), "files": sizes}
    return {"rules": 1, "inputs": inputs, "options": dict(options)}


def _is_there(output: Path, record: Mapping[str, Any]) -> bool:
    """Whether the folder holds what would be written.

    Raises:
        InputError: it holds something else that would be lost.
    """
    parts = [Path(part["path"]) for part in record["inputs"].values()]
    if any(output.resolve() in (part, *part.parents) for part in parts):
        raise InputError(f"output: expected a folder beside the parts, got {output}, which holds one; choose another")
    if not output.exists() or (output.is_dir() and not any(output.iterdir())):
        return False
    if not (output / RECORD).is_file():
        raise InputError(
            f"output: expected a new folder or one that was assembled before, got {output} with other files; "
            "choose another or remove it"
        )
    try:
        check_folder(output)
        return bool(json.loads((output / RECORD).read_text(encoding="utf-8")) == record)
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class Whole:
    """A checkpoint that is still to be written.

    Attributes:
        config, processor: all of it but the weights.
        tensors: under the names of the model.
    """

    config: InternVLChatConfig
    processor: InternVLProcessor
    tensors: TensorSource


def _write(
    output: Path,
    whole: Whole,
    record: Mapping[str, Any],
    max_bytes: int,
    progress: Callable[[int, int], None] | None,
) -> None:
    with replace_folder(output) as folder:
        write_tensors(folder, as_stored(whole.tensors), max_bytes=max_bytes, progress=progress)
        save_config(folder, whole.config, whole.tensors.dtypes, whole.processor)
        (folder / RECORD).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def join(paths: Mapping[str, Path], keys: Mapping[str, Any], seed: int) -> Whole:
    """Open the parts; what can be wrong with them is found here, before anything is written.

    Args:
        paths: as the options of `assemble`.
        keys: of config.json.
        seed: of what is new.
    """
    (vision_config, vision), (llm_config, language) = (
        open_vision(paths["vision_path"]),
        open_language(paths["llm_path"]),
    )
    size = keys["force_image_size"] or vision_config.image_size
    values = dict(keys) | {"force_image_size": size, "architectures": [InternVLChatModel.__name__]}
    config = InternVLChatConfig(vision_config=vision_config, llm_config=llm_config, **values)
    _check_choices(config)
    model: Any = make_empty(config)
    check_names(model.vision_model, vision, paths["vision_path"])
    check_names(model.language_model, language, paths["llm_path"])
    stored = put_together({"vision_model": vision, "language_model": language})
    made = resize_tiles(config, stored, size)
    processor, grown = _add_tokens(config, model, stored, read_tokenizer(paths["llm_path"]), seed)
    config.tie_word_embeddings = llm_config.tie_word_embeddings
    if "mlp_path" in paths:
        between = f"{paths['vision_path']} to {paths['llm_path']}"
        projector = open_projector(paths["mlp_path"], model.mlp1, between)
    else:
        projector = make_projector(config, seed)
    tensors = Overlay(MadeTensors(made | grown), put_together({"": stored, "mlp1": TensorDict(projector)}))
    check_names(make_empty(deepcopy(config)), tensors, paths["llm_path"])
    return Whole(config, processor, tensors)


def resize_tiles(config: InternVLChatConfig, source: TensorSource, size: int) -> dict[str, Made]:
    """Position embeddings for tiles of another size, if it is another one.

    Args:
        config: is changed.
        source: the tensors of the model.
        size: side of a tile in pixels.
    """
    stored = deepcopy(config.vision_config)
    config.force_image_size = config.vision_config.image_size = size
    if size == stored.image_size:
        return {}
    shape = (1, 1 + (size // stored.patch_size) ** 2, stored.hidden_size)

    def make() -> Tensor:
        return resize_positions(source.read(_POSITIONS).view(source.shapes[_POSITIONS]), stored, size)

    return {_POSITIONS: Made(shape, source.dtypes[_POSITIONS], make)}


def _check_choices(config: InternVLChatConfig) -> None:
    ratio, vision = config.downsample_ratio, config.vision_config
    side, depth = config.image_size // vision.patch_size, vision.num_hidden_layers
    if not 0 < ratio <= 1 or side < 1 or side % round(1 / ratio):
        raise InputError(
            f"down_sample_ratio: expected one that divides {side} x {side} patches ({config.image_size} pixels), "
            f"got {ratio}; choose another, or another force_image_size"
        )
    if not -depth - 1 <= config.select_layer <= depth:
        raise InputError(
            f"select_layer: expected a layer of {depth}, got {config.select_layer}; use -1 for the last one"
        )


def _name_words(language_model: Any) -> tuple[str, str]:
    """The names of the input embeddings and the output matrix; the same where they are tied."""
    names = {id(parameter): name for name, parameter in language_model.named_parameters()}
    layers = language_model.get_input_embeddings(), language_model.get_output_embeddings()
    words, answers = (names[id(layer.weight)] for layer in layers)
    return words, answers


def _add_tokens(
    config: InternVLChatConfig, model: Any, source: TensorSource, tokenizer: Any, seed: int
) -> tuple[InternVLProcessor, dict[str, Made]]:
    """Add the special tokens to the tokenizer, and let the word matrices follow."""
    growth = add_special_tokens(tokenizer, config.llm_config.vocab_size)
    words, answers = (f"language_model.{name}" for name in _name_words(model.language_model))
    grown: dict[str, Made] = {}

    def grow(name: str, change: Callable[[Tensor], Tensor]) -> None:
        shape = source.shapes[name]
        made = (growth.num_rows, *shape[1:])
        grown[name] = Made(made, source.dtypes[name], lambda: change(source.read(name).view(shape)))

    if growth.num_new:
        if words != answers:
            std = config.llm_config.initializer_range
            grow(words, partial(grow_input, growth=growth, std=std, seed=seed))
        grow(answers, partial(grow_output, growth=growth))
    config.llm_config.vocab_size = growth.num_rows
    config.image_context_token_id = int(tokenizer.get_vocab()[IMAGE_CONTEXT])
    template = find_template(config.template or "").with_system(config.system_message)
    tiler = ImageTiler(
        image_size=config.image_size,
        min_tiles=config.min_dynamic_patch,
        max_tiles=config.max_dynamic_patch,
        normalization=config.normalize_type,
    )
    return InternVLProcessor(tokenizer, template, tiler, tokens_per_tile=config.tokens_per_tile), grown
