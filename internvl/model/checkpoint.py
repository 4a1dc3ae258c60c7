"""Checkpoint folders: load one with every tensor accounted for, and write one so that a kill leaves no half of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch
from accelerate import init_empty_weights
from transformers.initialization import no_init_weights

from internvl.errors import InputError
from internvl.folder import check_folder, read_config, read_json, write_json
from internvl.hub import find_folder
from internvl.model.chat import InternVLChatModel
from internvl.model.configuration import InternVLChatConfig
from internvl.model.devices import materialize, spread
from internvl.model.layout import as_stored, open_weights
from internvl.model.shards import MAX_BYTES, ShardWriter, replace_folder
from internvl.model.tensors import Dtypes, TensorDict, TensorSource
from internvl.processor import InternVLProcessor, template_of
from internvl.spellings import add_spellings
from internvl.tokenizer import read_tokenizer
from internvl.tokens import IMAGE_CONTEXT

_Made = TypeVar("_Made")


def load_model(
    folder: str | Path,
    *,
    dtype: torch.dtype = torch.float32,
    attention: str | None = None,
    drop_path_rate: float = 0.0,
    devices: Sequence[torch.device] = (torch.device("cpu"),),
) -> InternVLChatModel:
    """Load a checkpoint; every tensor in it is used and every parameter is filled, or this fails.

    Args:
        folder: of OpenGVLab, of transformers' own class, or exported, or hub:owner/name[@revision]; adapters in it are
            merged.
        dtype: of the weights in memory.
        attention: "sdpa" or "flash_attention_2" for the decoder; None lets transformers choose.
        drop_path_rate: of the vision tower in training; published configs carry stale values.
        devices: that it lies on; each tensor goes there as it is read, so the host holds one at a time.
    """
    folder = check_folder(find_folder(folder))
    config, source = open_checkpoint(folder)
    config.vision_config.drop_path_rate = drop_path_rate
    model = make_empty(config, dtype=dtype, attention=attention)
    check_names(model, source, folder)
    if len(devices) > 1:
        spread(model, devices)
    else:
        materialize(model, devices[0])
    for name, parameter in model.named_parameters():
        parameter.data.copy_(source.read(name).view(parameter.shape))
    return model.eval()


def open_checkpoint(folder: Path) -> tuple[InternVLChatConfig, TensorSource]:
    """The configuration of a checkpoint, made explicit, and its tensors, not yet read."""
    values = read_config(folder)
    # The system text is made explicit, so that saving a checkpoint of early 2024 does not change it later.
    values["system_message"] = template_of(values).system
    config: InternVLChatConfig = _make(lambda: InternVLChatConfig.from_dict(values), folder / "config.json")
    config.image_context_token_id = _context_id(folder, values.get("llm_config", {}).get("vocab_size"))
    source = open_weights(folder, config)
    # The adapters are merged as the tensors are read.
    config.use_llm_lora = config.use_backbone_lora = 0
    if "language_model.lm_head.weight" in source.shapes:
        # Published decoders up to version 3 store their head, whatever their configuration says about tying.
        config.llm_config.tie_word_embeddings = False
    return config, source


def make_empty(
    config: InternVLChatConfig, *, dtype: torch.dtype = torch.float32, attention: str | None = None
) -> InternVLChatModel:
    """The model without memory for its parameters; its buffers are what they are to be."""
    with init_empty_weights(include_buffers=False):
        model = _make(lambda: make_model(config, dtype=dtype, attention=attention), "config.json")
    # Every name got a parameter of its own.
    model.language_model.tie_weights()
    return model


def make_model(config: InternVLChatConfig, *, dtype: torch.dtype, attention: str | None) -> InternVLChatModel:
    """The model with whatever parameters memory holds."""
    chosen: dict[str, Any] = {"attn_implementation": attention} if attention else {}
    with no_init_weights():
        model: InternVLChatModel = InternVLChatModel._from_config(config, dtype=dtype, **chosen)
    model.language_model.tie_weights()
    return model


def check_names(model: InternVLChatModel, source: TensorSource, folder: Path) -> None:
    """Every parameter has a tensor of its shape, and every tensor a parameter.

    Raises:
        InputError: with the names that have not.
    """
    wanted = {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}
    stored = source.shapes
    problems = {
        "missing": sorted(wanted.keys() - stored.keys()),
        "unexpected": sorted(stored.keys() - wanted.keys()),
        "of another shape": [
            f"{name}: {stored[name]} for {wanted[name]}"
            for name in sorted(wanted.keys() & stored.keys())
            if wanted[name] != stored[name]
        ],
    }
    named = [f"{len(keys)} {kind} ({', '.join(keys[:3])})" for kind, keys in problems.items() if keys]
    if named:
        raise InputError(
            f"checkpoint: expected exactly the model's tensors in {folder}, got {'; '.join(named)}; "
            "config.json and the weights do not belong together"
        )


def save_checkpoint(folder: str | Path, model: InternVLChatModel, processor: InternVLProcessor) -> Path:
    """Write a `from_pretrained` folder under a temporary name, then rename it."""
    with replace_folder(folder) as partial:
        source = TensorDict(dict(model.named_parameters()))
        write_tensors(partial, as_stored(source))
        config: Any = model.config
        save_config(partial, config, source.dtypes, processor)
    return Path(folder)


def write_tensors(
    folder: Path,
    source: TensorSource,
    dtype: torch.dtype | None = None,
    *,
    max_bytes: int = MAX_BYTES,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write tensors to files of bounded size, one of which is in memory at a time.

    Args:
        folder: to write to.
        source: has them, as they are to be stored.
        dtype: of the written weights; None keeps theirs.
        max_bytes: of a file.
        progress: is told how many tensors are written, and how many there are.
    """
    writer = ShardWriter(folder, max_bytes)
    for number, (name, shape) in enumerate(source.shapes.items(), 1):
        tensor = source.read(name).view(shape)
        writer.add(name, tensor if dtype is None else round_tensor(name, tensor, dtype))
        if progress is not None:
            progress(number, len(source.shapes))
    writer.finish()


def round_tensor(name: str, tensor: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """A tensor in another type.

    Raises:
        InputError: the type has no room for its numbers; they would become infinite.
    """
    rounded = tensor.to(dtype)
    if torch.finfo(dtype).max < torch.finfo(tensor.dtype).max and bool((rounded.isinf() & ~tensor.isinf()).any()):
        word = str(dtype).removeprefix("torch.")
        raise InputError(
            f"--dtype: expected numbers of at most {torch.finfo(dtype).max:.6g}, which {word} has room for, got "
            f"{float(tensor[~tensor.isnan()].abs().max()):.6g} in {name}; use bfloat16"
        )
    return rounded


def save_config(folder: Path, config: InternVLChatConfig, dtypes: Dtypes, processor: InternVLProcessor) -> None:
    """Write all of a checkpoint folder but its weights.

    Args:
        folder: to write to.
        config, processor: of the model.
        dtypes: of its tensors as they were written.
    """
    config.architectures = [InternVLChatModel.__name__]
    for part, prefix in ((config.vision_config, "vision_model."), (config.llm_config, "language_model.")):
        part.dtype = next(dtype for name, dtype in dtypes.items() if name.startswith(prefix))
    config.dtype = config.llm_config.dtype
    # It would lead to code of other people that is not in this folder.
    config.__dict__.pop("auto_map", None)
    config.vision_config.__dict__.pop("auto_map", None)
    config.save_pretrained(folder)
    # Other programs, and transformers before version 5, know the old spelling of some keys only.
    write_json(folder / "config.json", add_spellings(read_json(folder / "config.json")))
    generation = {"do_sample": False, "eos_token_id": processor.stop_id, "pad_token_id": processor.pad_id}
    write_json(folder / "generation_config.json", generation)
    processor.save_pretrained(folder)


def _make(make: Callable[[], _Made], told: Path | str) -> _Made:
    """What the values of a configuration make; what they make transformers raise differs from model to model."""
    try:
        return make()
    except (InputError, ImportError):
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:160]
        raise InputError(
            f"config.json: expected values in {told} that make a model, got {type(error).__name__}: {reason}; "
            "restore the published ones"
        ) from None


def _context_id(folder: Path, num_rows: int | None) -> int:
    vocabulary = read_tokenizer(folder, num_rows).get_vocab()
    if IMAGE_CONTEXT not in vocabulary:
        raise InputError(
            f"tokenizer: expected the token {IMAGE_CONTEXT} in {folder}, got none; it is no chat checkpoint yet"
        )
    return int(vocabulary[IMAGE_CONTEXT])
