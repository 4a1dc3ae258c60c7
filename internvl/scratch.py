"""A small InternVL-Chat checkpoint with random weights: InternViT, projector, Llama or Qwen2, and its own tokenizer.

For the quickstart and for tests; large models start from published weights instead.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from internvl.conversation import Turn
from internvl.model import InternVLChatConfig, InternVLChatModel
from internvl.model.checkpoint import save_checkpoint
from internvl.processor import InternVLProcessor
from internvl.template import find_template
from internvl.tiler import ImageTiler
from internvl.tokens import IMAGE_CONTEXT, SPECIAL_TOKENS

_CHAT_TOKENS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
VISION = {
    "image_size": 56,
    "patch_size": 7,
    "hidden_size": 128,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 512,
    "norm_type": "layer_norm",
    "qk_normalization": False,
    "qkv_bias": True,
    "initializer_factor": 1.0,
}
LANGUAGE = {
    "hidden_size": 128,
    "intermediate_size": 384,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "max_position_embeddings": 8192,
    # Wide enough that the words differ from the first step on; with 0.02 a model this small needs far longer.
    "initializer_range": 0.08,
    "tie_word_embeddings": True,
}


def train_tokenizer(texts: Iterable[str], vocab_size: int = 512) -> PreTrainedTokenizerFast:
    """A byte-level BPE of the texts, with the published special tokens in their published order."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size - len(_CHAT_TOKENS) - len(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    wrapped = PreTrainedTokenizerFast(tokenizer_object=tokenizer, clean_up_tokenization_spaces=False)
    wrapped.add_special_tokens(
        {
            "eos_token": "<|im_end|>",
            "pad_token": "<|endoftext|>",
            "additional_special_tokens": ["<|im_start|>", *SPECIAL_TOKENS],
        }
    )
    return wrapped


def write_scratch_checkpoint(
    folder: Path,
    texts: Iterable[str],
    *,
    architecture: str = "LlamaForCausalLM",
    vision: dict[str, Any] | None = None,
    language: dict[str, Any] | None = None,
    seed: int = 0,
    **keys: Any,
) -> Path:
    """Write a checkpoint with random weights.

    Args:
        folder: where it goes; an existing one is replaced.
        texts: what the tokenizer is trained on.
        architecture: of the decoder.
        vision, language: keys of the two configurations that replace `VISION` and `LANGUAGE`.
        seed: of the weights.
        keys: further keys of config.json, such as `template`.
    """
    template = find_template(keys.get("template", "Hermes-2")).with_system("Answer the questions.")
    # The words around every turn are the most frequent of all: let them be tokens.
    frame = template.render([Turn("user", ""), Turn("assistant", "")], training=True).text
    tokenizer = train_tokenizer([*texts, *[frame] * 1000])
    sizes = {
        "vocab_size": len(tokenizer),
        "bos_token_id": None,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    values: dict[str, Any] = {
        "vision_config": VISION | (vision or {}),
        "llm_config": LANGUAGE | {"architectures": [architecture]} | sizes | (language or {}),
        "ps_version": "v2",
        "template": template.name,
        "system_message": template.system,
        "max_dynamic_patch": 1,
        **keys,
    }
    config = InternVLChatConfig(**values, image_context_token_id=tokenizer.get_vocab()[IMAGE_CONTEXT])
    torch.manual_seed(seed)
    model = InternVLChatModel(config)
    processor = InternVLProcessor(
        tokenizer,
        template,
        ImageTiler(image_size=config.image_size),
        tokens_per_tile=config.tokens_per_tile,
    )
    folder.parent.mkdir(parents=True, exist_ok=True)
    return save_checkpoint(folder, model, processor)
