"""Checkpoint folders: load one with every tensor accounted for, and write one so that a kill leaves no half of it."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from internvl.errors import InputError
from internvl.folder import check_folder, weight_files
from internvl.model.chat import InternVLChatModel
from internvl.model.configuration import InternVLChatConfig
from internvl.model.internlm2 import is_internlm2, to_llama
from internvl.processor import InternVLProcessor, read_tokenizer, template_of
from internvl.tokens import IMAGE_CONTEXT


def load_model(
    folder: str | Path,
    *,
    dtype: torch.dtype = torch.float32,
    attention: str | None = None,
    drop_path_rate: float = 0.0,
) -> InternVLChatModel:
    """Load a checkpoint; every tensor in it is used and every parameter is filled, or this fails.

    Args:
        folder: an OpenGVLab or exported folder with safetensors weights.
        dtype: of the weights in memory.
        attention: "sdpa" or "flash_attention_2" for the decoder; None lets transformers choose.
        drop_path_rate: of the vision tower in training; published configs carry stale values.
    """
    folder = check_folder(folder)
    kwargs: dict[str, Any] = {"attn_implementation": attention} if attention else {}
    values = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    context_id = _context_id(folder)
    # The system text is made explicit, so that saving a checkpoint of early 2024 does not change it later.
    config = InternVLChatConfig.from_dict(
        values | {"image_context_token_id": context_id, "system_message": template_of(values).system}
    )
    config.vision_config.drop_path_rate = drop_path_rate
    try:
        if _stores_internlm2(folder):
            model = _load_internlm2(folder, config, dtype=dtype, **kwargs)
        else:
            # With "ignore", tensors of another shape are reported with the others instead of raising on their own.
            loaded: Any = InternVLChatModel.from_pretrained(
                folder,
                config=config,
                dtype=dtype,
                local_files_only=True,
                output_loading_info=True,
                ignore_mismatched_sizes=True,
                **kwargs,
            )
            model, report = loaded
            _account(folder, report)
    except (SafetensorError, RuntimeError, OSError) as error:
        reason = str(error).partition("\n")[0][:160]
        raise InputError(
            f"checkpoint: expected readable weights in {folder}, got {type(error).__name__}: {reason}; "
            "copy the folder again"
        ) from None
    return model


def save_checkpoint(folder: str | Path, model: InternVLChatModel, processor: InternVLProcessor) -> Path:
    """Write a `from_pretrained` folder under a temporary name, then rename it."""
    folder = Path(folder)
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    model.save_pretrained(partial)
    processor.save_pretrained(partial)
    if folder.exists():
        old = folder.with_name(f".{folder.name}.old")
        shutil.rmtree(old, ignore_errors=True)
        os.replace(folder, old)
        os.replace(partial, folder)
        shutil.rmtree(old, ignore_errors=True)
    else:
        os.replace(partial, folder)
    return folder


def _account(folder: Path, report: dict[str, Any]) -> None:
    problems = {
        "missing": sorted(report["missing_keys"]),
        "unexpected": sorted(report["unexpected_keys"]),
        "of another shape": sorted(str(entry[0]) for entry in report["mismatched_keys"]),
    }
    named = [f"{len(keys)} {kind} ({', '.join(keys[:3])})" for kind, keys in problems.items() if keys]
    if named:
        raise InputError(
            f"checkpoint: expected exactly the model's tensors in {folder}, got {'; '.join(named)}; "
            "config.json and the weights do not belong together"
        )


def _context_id(folder: Path) -> int:
    vocabulary = read_tokenizer(folder).get_vocab()
    if IMAGE_CONTEXT not in vocabulary:
        raise InputError(
            f"tokenizer: expected the token {IMAGE_CONTEXT} in {folder}, got none; it is no chat checkpoint yet"
        )
    return int(vocabulary[IMAGE_CONTEXT])


def _stores_internlm2(folder: Path) -> bool:
    for file in weight_files(folder):
        with safe_open(file, framework="pt") as tensors:
            if any(".attention.wqkv." in name for name in tensors.keys()):  # noqa: SIM118 - no mapping
                return True
    return False


def _load_internlm2(folder: Path, config: InternVLChatConfig, **kwargs: Any) -> InternVLChatModel:
    state: dict[str, torch.Tensor] = {}
    for file in weight_files(folder):
        with safe_open(file, framework="pt") as tensors:
            state |= {name: tensors.get_tensor(name) for name in tensors.keys()}  # noqa: SIM118
    assert is_internlm2(state)
    model: InternVLChatModel = InternVLChatModel._from_config(config, **kwargs)
    converted = to_llama(
        state,
        num_heads=config.llm_config.num_attention_heads,
        num_kv_heads=config.llm_config.num_key_value_heads,
    )
    result = model.load_state_dict(converted, strict=False)
    _account(
        folder,
        {"missing_keys": result.missing_keys, "unexpected_keys": result.unexpected_keys, "mismatched_keys": []},
    )
    return model.eval()
