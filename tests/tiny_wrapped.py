"""Tiny checkpoints with LoRA adapters in them, saved by peft's own layers under their own names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file

from internvl.model import load_model
from internvl.model.adapters import PARTS
from tests.internvl.model.test_internlm2 import to_internlm2
from tests.tiny import tiny_checkpoint

RANK = 3
LAYERS = {
    "vision_model": ["attn.qkv", "attn.proj", "mlp.fc1", "mlp.fc2"],
    "language_model": ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
}
"""As published, the decoder's under the names of a Llama."""
WEIGHTS = "model.safetensors"


def wrap_checkpoint(folder: Path, *parts: str, dtype: torch.dtype = torch.float32) -> Path:
    """Put adapters with random halves into parts of a plain checkpoint."""
    model: Any = load_model(folder, dtype=dtype)
    torch.manual_seed(5)
    for part in parts:
        lora = LoraConfig(r=RANK, lora_alpha=2 * RANK, target_modules=LAYERS[part])
        setattr(model, part, get_peft_model(getattr(model, part), lora))
    for name, parameter in model.named_parameters():
        if ".lora_" in name:
            parameter.data.normal_(std=0.1)
    state = {name: parameter.data.to(dtype).contiguous() for name, parameter in model.named_parameters()}
    save_file(state, folder / WEIGHTS, metadata={"format": "pt"})
    change_config(folder, **{PARTS[part]: RANK for part in parts})
    return folder


def write_wrapped_internlm2(folder: Path) -> tuple[Path, Path]:
    """One with adapters in its fused projections, and the same with them added by hand."""
    plain, wrapped = (tiny_checkpoint(folder / name) for name in ("plain", "wrapped"))
    state = to_internlm2(load_file(plain / WEIGHTS), 2, 1)
    added, held = dict(state), {}
    torch.manual_seed(5)
    for name, tensor in state.items():
        bare = name.removeprefix("language_model.")
        long = name if bare == name else f"language_model.base_model.model.{bare}"
        if "attention.w" not in name and "feed_forward" not in name:
            held[long] = tensor
            continue
        layer = long.removesuffix(".weight")
        reading = torch.randn(RANK, tensor.shape[1]) * 0.1
        writing = torch.randn(tensor.shape[0], RANK) * 0.1
        held |= {
            f"{layer}.base_layer.weight": tensor,
            f"{layer}.lora_A.default.weight": reading,
            f"{layer}.lora_B.default.weight": writing,
        }
        added[name] = tensor + 2 * writing @ reading
    for path, tensors in ((plain, added), (wrapped, held)):
        contiguous = {name: tensor.clone().contiguous() for name, tensor in tensors.items()}
        save_file(contiguous, path / WEIGHTS, metadata={"format": "pt"})
        config = json.loads((path / "config.json").read_text())
        change_config(path, llm_config=config["llm_config"] | {"architectures": ["InternLM2ForCausalLM"]})
    change_config(wrapped, use_llm_lora=RANK)
    return plain, wrapped


def change_config(folder: Path, **values: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))
