"""Whole checkpoints answer the probes: through our model, through transformers' own, and through layers of peft."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import AutoProcessor, InternVLForConditionalGeneration

from internvl.certificate.probe import Answers, Arguments, Probe, Prompt, Responder, ask_all, forget_generation
from internvl.errors import InputError
from internvl.model import InternVLChatModel, load_model
from internvl.model.tensor_folder import TensorFolder
from internvl.processor import InternVLProcessor
from internvl.tiler import normalize

_MEMORY = Path("/proc/meminfo")
_SPARE_BYTES = 1_500_000_000
"""Activations of the longest probe, and its logits."""
Types = Mapping[str, torch.dtype]


@dataclass(frozen=True, slots=True)
class Precision:
    """How both sides compute."""

    dtype: torch.dtype
    device: torch.device


def choose_precision(
    num_parameters: int, dtype: torch.dtype | None = None, device: str | torch.device | None = None
) -> Precision:
    """float32 where the parameters fit twice into memory, else bfloat16; the accelerator where they fit at all.

    Args:
        num_parameters: of one side; there is one in memory at a time.
        dtype, device: chosen by the user.

    Raises:
        InputError: not even bfloat16 fits.
    """
    memory = free_memory()
    if dtype is None:
        dtype = torch.float32 if num_parameters * 4 * 2 <= memory else torch.bfloat16
    size = num_parameters * dtype.itemsize
    if size > memory:
        raise InputError(
            f"certificate: expected {size / 1e9:.0f} GB of free memory to load one side, got {memory / 1e9:.0f} GB; "
            "run it on a machine with more"
        )
    if device is None:
        fits = torch.cuda.is_available() and torch.cuda.mem_get_info()[0] > 1.1 * size + _SPARE_BYTES
        device = "cuda" if fits else "cpu"
    return Precision(dtype, torch.device(device))


def free_memory() -> int:
    """Bytes of memory that this process can still take."""
    if not _MEMORY.is_file():
        raise InputError(f"certificate: expected {_MEMORY} to tell the free memory, got none; choose the type yourself")
    lines = dict(line.split(":", 1) for line in _MEMORY.read_text(encoding="ascii").splitlines())
    return int(lines["MemAvailable"].split()[0]) * 1024


def count_parameters(folder: Path) -> int:
    """Elements in the weight files."""
    return sum(prod(shape) for shape in TensorFolder(folder).shapes.values())


def answer_ours(
    folder: Path, precision: Precision, *, rounded: Sequence[Types] = (), given: Answers | None = None
) -> Answers:
    """Answers of our model and our processor.

    Args:
        folder: in any layout that `internvl.model` reads.
        precision: to compute in.
        rounded: types for the parameters, to which they are rounded first, one after the other.
        given: as in `ask_all`.
    """
    model = load_model(folder, dtype=precision.dtype)
    round_parameters(model, rounded)
    return ask_ours(model, folder, precision, given, "internvl.model")


def ask_ours(
    model: InternVLChatModel, folder: Path, precision: Precision, given: Answers | None, implementation: str
) -> Answers:
    """Answers of our class, whatever its layers are, with our processor of a folder. It leaves memory afterwards."""
    processor = InternVLProcessor.from_pretrained(folder)
    forget_generation(model)
    place(model, precision)

    def prepare(probe: Probe) -> Prompt:
        row = processor(probe.ask(processor.tiler.image_size))
        return row["input_ids"], normalize(row["pixel_values"], processor.tiler.normalization)

    def compute(row: Tensor, tiles: Tensor, positions: Tensor) -> Tensor:
        logits: Tensor = model(row, tiles).logits
        return logits[0, positions]

    def generate(row: Tensor, tiles: Tensor, arguments: Arguments) -> Any:
        return model.generate(row, tiles, **arguments)

    responder = Responder(implementation, prepare, compute, generate, processor.decode)
    try:
        return ask_all(responder, precision.dtype, precision.device, given)
    finally:
        release(model)


def answer_native(
    folder: Path, precision: Precision, *, rounded: Sequence[Types] = (), given: Answers | None = None
) -> Answers:
    """Answers of transformers' own class: its reader, its chat template, its tiling, none of our code in between.

    Raises:
        InputError: it does not find each of its parameters in the folder, or does not use each tensor there.
    """
    native: Any = InternVLForConditionalGeneration
    model, loaded = native.from_pretrained(
        folder, dtype=precision.dtype, local_files_only=True, trust_remote_code=False, output_loading_info=True
    )
    wrong = {key: list(loaded[key]) for key in ("missing_keys", "unexpected_keys", "mismatched_keys") if loaded[key]}
    if wrong:
        named = "; ".join(f"{len(names)} {key} ({', '.join(map(str, names[:3]))})" for key, names in wrong.items())
        raise InputError(f"checkpoint: expected that transformers uses every tensor of {folder}, got {named}")
    for types in rounded:
        # Its parameters have other names than ours; there is a type for all of them.
        (dtype,) = set(types.values())
        round_parameters(model, [{name: dtype for name, _ in model.named_parameters()}])
    processor = AutoProcessor.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    size = config["vision_config"]["image_size"]
    tile = int(size[0] if isinstance(size, list) else size)
    forget_generation(model)
    model.to(precision.device).eval()

    def prepare(probe: Probe) -> Prompt:
        pictures = [{"type": "image", "image": picture} for picture in probe.draw(tile)]
        messages = [{"role": "user", "content": [*pictures, {"type": "text", "text": probe.question}]}]
        row = processor.apply_chat_template(
            messages, add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt"
        )
        return row["input_ids"][0], row["pixel_values"] if pictures else torch.empty((0, 3, tile, tile))

    def compute(row: Tensor, tiles: Tensor, positions: Tensor) -> Tensor:
        pixels = tiles if len(tiles) else None
        logits: Tensor = model(input_ids=row, pixel_values=pixels, logits_to_keep=positions).logits
        return logits[0]

    def generate(row: Tensor, tiles: Tensor, arguments: Arguments) -> Any:
        pixels = {"pixel_values": tiles} if len(tiles) else {}
        return model.generate(input_ids=row, attention_mask=torch.ones_like(row), **pixels, **arguments)

    def decode(ids: Any) -> str:
        return str(processor.tokenizer.decode(ids, skip_special_tokens=True))

    responder = Responder("transformers.InternVLForConditionalGeneration", prepare, compute, generate, decode)
    try:
        return ask_all(responder, precision.dtype, precision.device, given)
    finally:
        release(model)


def round_parameters(model: torch.nn.Module, rounded: Sequence[Types]) -> None:
    """Round parameters without changing their own type."""
    for types in rounded:
        for name, parameter in model.named_parameters():
            parameter.data.copy_(parameter.data.to(types.get(name, parameter.dtype)))


def place(model: torch.nn.Module, precision: Precision) -> None:
    """Where it is to compute."""
    model.to(precision.device).eval()


def release(model: torch.nn.Module) -> None:
    """Give the memory of a model back, whoever still refers to it."""
    model.to("meta")
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()
