"""Layouts of checkpoints: whatever a folder has comes under the names that our model has in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from internvl.errors import InputError
from internvl.model import native
from internvl.model.adapters import PARTS, MergedAdapters, is_wrapped
from internvl.model.experts import split_experts, stack_experts
from internvl.model.internlm2 import is_internlm2, to_llama
from internvl.model.tensor_folder import TensorFolder
from internvl.model.tensors import Rearranged, Subset, TensorSource

_FLOATS = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
_DERIVED = (".rotary_emb.inv_freq",)
"""Ends of names of tensors that follow from the configuration; old folders hold them."""


def open_weights(folder: str | Path, config: Any) -> TensorSource:
    """The tensors of a chat checkpoint under the names of our model, adapters merged.

    Args:
        folder: in any layout.
        config: of the chat model.

    Raises:
        InputError: the tensors do not belong to such a model.
    """
    source = drop_derived(TensorFolder(folder))
    _check_types(source, folder)
    _refuse_legacy(source, folder)
    if native.is_native(source.shapes):
        source = Rearranged(source, native.to_chat(source.shapes))
    ranks = {part: getattr(config, key) for part, key in PARTS.items()}
    if is_wrapped(source.shapes):
        source = MergedAdapters(source, ranks)
    elif any(ranks.values()):
        key = next(key for part, key in PARTS.items() if ranks[part])
        raise InputError(
            f"{key}: expected adapters of rank {getattr(config, key)} in the weights of {folder}, got none; write 0 "
            "into config.json if they were merged, else copy the weights again"
        )
    return as_in_memory(source, config.llm_config)


def as_in_memory(source: TensorSource, llm_config: Any) -> TensorSource:
    """A stored language model as its class has it: InternLM2 as a Llama, the experts of a layer in one tensor."""
    if is_internlm2(source.shapes):
        heads = {"num_heads": llm_config.num_attention_heads, "num_kv_heads": llm_config.num_key_value_heads}
        source = Rearranged(source, to_llama(source.shapes, **heads))
    return Rearranged(source, stack_experts(source.shapes))


def as_stored(source: TensorSource) -> TensorSource:
    """The tensors of our model as they are published."""
    return Rearranged(source, split_experts(source.shapes))


def drop_derived(source: TensorSource) -> TensorSource:
    """Without what follows from the configuration."""
    kept = {name for name in source.shapes if not name.endswith(_DERIVED)}
    return source if len(kept) == len(source.shapes) else Subset(source, kept)


def _check_types(source: TensorSource, folder: str | Path) -> None:
    wrong = [(name, dtype) for name, dtype in source.dtypes.items() if dtype not in _FLOATS]
    if wrong:
        name, dtype = wrong[0]
        raise InputError(
            f"checkpoint: expected floating-point weights in {folder}, got {len(wrong)} of other types ({name} is "
            f"{str(dtype).removeprefix('torch.')}); use the folder that is not quantised"
        )


def _refuse_legacy(source: TensorSource, folder: str | Path) -> None:
    found = next((name for name in source.shapes if "qllama." in name or name.endswith("query_tokens")), None)
    if found is not None:
        raise InputError(
            f"checkpoint: expected a chat model with a projector in {folder}, got one with QLLaMA ({found}), which "
            "this project does not run; use OpenGVLab/InternVL-Chat-V1-2 or later"
        )
