"""The parts of a chat model as they are published, tiny: a vision tower, a projector file, a language model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import CONFIG_MAPPING, AutoModelForCausalLM, PreTrainedTokenizerFast

from internvl.model import InternVisionConfig, InternVisionModel
from internvl.model.projector import build_projector
from tests.internvl.model.test_internlm2 import to_internlm2

VISION_WIDTH, LANGUAGE_WIDTH = 32, 48
CHAT_TOKENS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
WEIGHTS = "model.safetensors"
# What a kind of language model needs beyond the sizes of all.
_EXTRA: dict[str, dict[str, Any]] = {
    "qwen3": {"head_dim": 8},
    "qwen3_moe": {"head_dim": 8, "num_experts": 3, "num_experts_per_tok": 2, "moe_intermediate_size": 20},
    "phi3": {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2},
}


def write_vision(folder: Path, *, prefix: str = "", dtype: torch.dtype = torch.float32, **changes: Any) -> Path:
    """Two blocks on a grid of four by four patches; `prefix` goes before the names of its tensors."""
    sizes = {"hidden_size": VISION_WIDTH, "num_attention_heads": 2, "intermediate_size": 64, "num_hidden_layers": 2}
    config = InternVisionConfig(**{**sizes, "image_size": 56, "patch_size": 14, **changes})
    torch.manual_seed(1)
    InternVisionModel(config).to(dtype).save_pretrained(folder)
    state = {prefix + name: tensor for name, tensor in load_file(folder / WEIGHTS).items()}
    save_file(state, folder / WEIGHTS, metadata={"format": "pt"})
    return folder


def write_projector(path: Path, *, prefix: str = "", dtype: torch.dtype = torch.float32, ratio: float = 0.5) -> Path:
    """What published tools make of a projector."""
    torch.manual_seed(2)
    state = build_projector(VISION_WIDTH, LANGUAGE_WIDTH, ratio).to(dtype).state_dict()
    torch.save({prefix + name: tensor for name, tensor in state.items()}, path)
    return path


def write_tokenizer(folder: Path, words: Sequence[str] = (), tokens: Sequence[str] = ()) -> int:
    """Bytes and the tokens of a chat; further ones as plain words of the vocabulary or as special tokens. Its size."""
    letters = [*sorted(pre_tokenizers.ByteLevel.alphabet()), *words]
    tokenizer = Tokenizer(models.BPE({letter: number for number, letter in enumerate(letters)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    wrapped = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|endoftext|>")
    wrapped.add_tokens([*CHAT_TOKENS, *tokens], special_tokens=True)
    wrapped.save_pretrained(folder)
    return len(wrapped)


def write_language(
    folder: Path,
    kind: str = "llama",
    *,
    words: Sequence[str] = (),
    tokens: Sequence[str] = (),
    padding: int = 0,
    dtype: torch.dtype = torch.float32,
    max_shard_size: str = "1GB",
    **changes: Any,
) -> Path:
    """A language model of transformers with its tokenizer; `padding` rows of its matrices are of no token."""
    size = write_tokenizer(folder, words, tokens) + padding
    sizes = {"hidden_size": LANGUAGE_WIDTH, "num_attention_heads": 4, "num_key_value_heads": 2, "num_hidden_layers": 2}
    values = {
        "vocab_size": size,
        "intermediate_size": 64,
        "tie_word_embeddings": False,
        **sizes,
        **_EXTRA.get(kind, {}),
    }
    torch.manual_seed(3)
    model = AutoModelForCausalLM.from_config(CONFIG_MAPPING[kind](**(values | changes)))
    for parameter in model.parameters():
        if parameter.dim() > 1:
            parameter.data.normal_(std=0.2)
    model.to(dtype).save_pretrained(folder, max_shard_size=max_shard_size)
    return folder


def turn_into_internlm2(folder: Path) -> None:
    """The same model under the names and in the layout of an InternLM2 folder."""
    state = {f"language_model.{name}": tensor for name, tensor in load_file(folder / WEIGHTS).items()}
    stored = to_internlm2(state, 4, 2)
    bare = {name.removeprefix("language_model."): tensor.contiguous() for name, tensor in stored.items()}
    save_file(bare, folder / WEIGHTS, metadata={"format": "pt"})
    config = folder / "config.json"
    text = config.read_text().replace("LlamaForCausalLM", "InternLM2ForCausalLM")
    config.write_text(text.replace('"model_type": "llama"', '"model_type": "internlm2", "bias": false'))


def write_parts(folder: Path) -> dict[str, Path]:
    """One of each, as the options that name them."""
    return {
        "vision_path": write_vision(folder / "vision"),
        "llm_path": write_language(folder / "language"),
        "mlp_path": write_projector(folder / "mlp_projector.pth"),
    }
