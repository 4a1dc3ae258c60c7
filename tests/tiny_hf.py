"""Tiny folders of models of other families, as transformers writes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import (
    LlavaNextConfig,
    LlavaNextForConditionalGeneration,
    LlavaNextImageProcessor,
    LlavaNextProcessor,
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
    Qwen2VLImageProcessor,
    Qwen2VLProcessor,
    Qwen2VLVideoProcessor,
)

from tests.tiny import IMAGE_SIZE, tiny_tokenizer

_CHAT = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{% for part in m['content'] %}{% if part['type'] == 'text' %}"
    "{{ part['text'] }}{% else %}SLOT{% endif %}{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def write_llava_next(
    folder: Path, *, siglip: bool = False, chat: str = _CHAT, side: int = IMAGE_SIZE, **changes: Any
) -> Path:
    """Pictures of one size are cut into as many pieces as their shape asks for.

    Args:
        folder: where to.
        siglip: the vision tower puts nothing in front of the patches, and words are read by Qwen2.
        chat: the template, with SLOT for a picture.
        side: pixels of a tile.
        changes: other values of the language model.
    """
    tokenizer = _make_tokenizer("<image>")
    grids = [[side, 2 * side], [2 * side, side], [2 * side, 2 * side]]
    kind, language = ("siglip_vision_model", "qwen2") if siglip else ("clip_vision_model", "llama")
    vision = _sizes() | {"model_type": kind, "image_size": side, "patch_size": 14}
    strategy = "full" if siglip else "default"
    config = LlavaNextConfig(
        vision_config=vision if siglip else vision | {"projection_dim": 32},
        text_config=_language(tokenizer) | {"model_type": language, **changes},
        vision_feature_select_strategy=strategy,
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        image_grid_pinpoints=grids,
        image_seq_length=(side // 14) ** 2,
    )
    size = {"height": side, "width": side}
    processor = LlavaNextProcessor(
        LlavaNextImageProcessor(
            size={"shortest_edge": side}, crop_size=size, image_grid_pinpoints=grids, do_center_crop=True
        ),
        tokenizer,
        patch_size=14,
        vision_feature_select_strategy=strategy,
        num_additional_image_tokens=int(not siglip),
        chat_template=chat.replace("SLOT", "<image>\n"),
    )
    return _write(folder, LlavaNextForConditionalGeneration, config, processor)


def write_qwen2_vl(folder: Path) -> Path:
    """Pictures of every size are rows of patches."""
    tokenizer = _make_tokenizer("<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")
    rope = {"rope_type": "default", "mrope_section": [2, 3, 3], "rope_theta": 10000.0}
    names = ("vision_start", "vision_end", "image", "video")
    tokens = ("<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")
    ids = zip(names, map(tokenizer.convert_tokens_to_ids, tokens), strict=True)
    config = Qwen2VLConfig(
        vision_config={"depth": 2, "embed_dim": 32, "hidden_size": 32, "num_heads": 2, "mlp_ratio": 2},
        text_config=_language(tokenizer) | {"rope_parameters": rope},
        **{f"{name}_token_id": number for name, number in ids},
    )
    sizes = {"shortest_edge": 28 * 28, "longest_edge": 84 * 84}
    processor = Qwen2VLProcessor(
        Qwen2VLImageProcessor(size=sizes),
        tokenizer,
        Qwen2VLVideoProcessor(size=sizes),
        chat_template=_CHAT.replace("SLOT", "<|vision_start|><|image_pad|><|vision_end|>"),
    )
    return _write(folder, Qwen2VLForConditionalGeneration, config, processor)


def _make_tokenizer(*tokens: str) -> Any:
    tokenizer = tiny_tokenizer()
    tokenizer.add_special_tokens({"additional_special_tokens": list(tokens)})
    return tokenizer


def _sizes() -> dict[str, int]:
    return {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}


def _language(tokenizer: Any) -> dict[str, Any]:
    return _sizes() | {
        "vocab_size": len(tokenizer),
        "num_key_value_heads": 1,
        "max_position_embeddings": 2048,
        "bos_token_id": None,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }


def _write(folder: Path, kind: Any, config: Any, processor: Any) -> Path:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = kind(config).eval()
        for parameter in model.parameters():
            if parameter.dim() >= 2:
                parameter.data.normal_(std=0.2)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder
