"""A checkpoint with LoRA adapters in it answers the probes through layers of peft: as trained, or merged by peft."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from torch import nn

from internvl.certificate.models import Precision, Types, ask_ours, round_parameters
from internvl.certificate.probe import Answers
from internvl.errors import InputError
from internvl.folder import read_config
from internvl.model import InternVLChatModel
from internvl.model.adapters import PARTS
from internvl.model.checkpoint import make_model, open_checkpoint
from internvl.model.internlm2 import is_internlm2, to_llama
from internvl.model.layout import drop_derived
from internvl.model.tensor_folder import TensorFolder
from internvl.model.tensors import Rearranged, Subset, TensorSource, select

_PREFIX = "base_model.model."
_READING = ".lora_A.default.weight"


def answer_wrapped(
    folder: Path,
    precision: Precision,
    *,
    merge: bool = False,
    rounded: Sequence[Types] = (),
    given: Answers | None = None,
) -> Answers:
    """Answers of a wrapped model.

    Args:
        folder: as the published training scripts save it.
        precision: to compute in.
        merge: let peft merge the adapters first.
        rounded: types for the parameters after that, to which they are rounded, one after the other.
        given: as in `ask_all`.
    """
    model: Any = load_wrapped(folder, precision.dtype)
    if merge:
        for part in PARTS:
            if hasattr(getattr(model, part), "merge_and_unload"):
                setattr(model, part, getattr(model, part).merge_and_unload())
        round_parameters(model, rounded)
    return ask_ours(
        model, folder, precision, given, "internvl.model, adapters " + ("merged by peft" if merge else "of peft")
    )


def load_wrapped(folder: Path, dtype: torch.dtype) -> InternVLChatModel:
    """Our model with layers of peft, every tensor of the folder in its place; adapters are at least float32."""
    config, _ = open_checkpoint(folder)
    ranks = read_config(folder)
    source = _without_prefix(drop_derived(TensorFolder(folder)))
    reading = {name: shape for name, shape in source.shapes.items() if name.endswith(_READING)}
    plain: TensorSource = Subset(source, source.shapes.keys() - reading.keys())
    if is_internlm2(plain.shapes):
        heads = {
            "num_heads": config.llm_config.num_attention_heads,
            "num_kv_heads": config.llm_config.num_key_value_heads,
        }
        plain = Rearranged(plain, to_llama(plain.shapes, **heads))
        sharing = to_llama_adapters(reading)
    else:
        sharing = {name: name for name in reading}
    model: Any = make_model(config, dtype=dtype, attention=None)
    for part, key in PARTS.items():
        layers = [name.removeprefix(f"{part}.").removesuffix(_READING) for name in sharing if name.startswith(part)]
        if layers:
            rank = int(ranks[key])
            lora = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=layers, lora_dropout=0.0)
            setattr(model, part, get_peft_model(getattr(model, part), lora))
    origins = {name: (plain, name) for name in plain.shapes} | {
        name: (source, there) for name, there in sharing.items()
    }
    _fill(model, origins, folder)
    return model


def to_llama_adapters(reading: Mapping[str, Any]) -> dict[str, str]:
    """The first halves of adapters of an InternLM2 under Llama names; those of a fused layer are needed three times."""
    origins: dict[str, str] = {}
    for name in reading:
        if ".attention.wqkv." in name:
            origins |= {name.replace(".attention.wqkv.", f".self_attn.{letter}_proj."): name for letter in "qkv"}
        else:
            (renamed,) = to_llama({name: (1, 1)}, num_heads=1, num_kv_heads=1)
            origins[renamed] = name
    return origins


def _without_prefix(source: TensorSource) -> TensorSource:
    """Names without what the wrapping puts into them."""
    names = {}
    for name in source.shapes:
        part, _, rest = name.partition(".")
        names[f"{part}.{rest.removeprefix(_PREFIX)}" if part in PARTS else name] = name
    return select(source, names)


def _fill(model: nn.Module, origins: Mapping[str, tuple[TensorSource, str]], folder: Path) -> None:
    """Copy every tensor to the parameter of its name; none is left over on either side."""
    parameters = {}
    for name, parameter in model.named_parameters():
        part, _, rest = name.partition(".")
        parameters[f"{part}.{rest.removeprefix(_PREFIX)}" if part in PARTS else name] = parameter
    different = sorted(parameters.keys() ^ origins.keys())
    if different:
        raise InputError(
            f"checkpoint: expected exactly the tensors of a model with adapters in {folder}, got a difference in "
            f"{len(different)} ({', '.join(different[:3])}); config.json and the weights do not belong together"
        )
    for name, parameter in parameters.items():
        stored, there = origins[name]
        parameter.data.copy_(stored.read(there).view(parameter.shape))
