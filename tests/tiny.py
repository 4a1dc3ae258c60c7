"""Tiny random models, processors and checkpoint folders: real classes and real files, fast enough for every test.

`wide=True` draws matrices several times wider than a fresh model's, so that other pictures and words give other texts;
with the default width every prompt would get much the same answer, and a test that mixes rows up could not fail.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from internvl.conversation import Conversation
from internvl.model import InternVLChatConfig, InternVLChatModel
from internvl.model.checkpoint import save_checkpoint
from internvl.processor import InternVLProcessor, template_of
from internvl.tiler import ImageTiler
from internvl.tokens import IMAGE_CONTEXT

IMAGE_SIZE = 56
TOKENS_PER_TILE = 4
_TOKENIZERS = Path(__file__).parent / "golden" / "tokenizer"
_DECODERS = {
    "llama": "LlamaForCausalLM",
    "qwen2": "Qwen2ForCausalLM",
    "qwen3": "Qwen3ForCausalLM",
    "qwen3_moe": "Qwen3MoeForCausalLM",
    "phi3": "Phi3ForCausalLM",
}


def tiny_tokenizer(name: str = "base") -> PreTrainedTokenizerFast:
    """A byte-level tokenizer of 1000 entries with every special token of the templates."""
    return PreTrainedTokenizerFast.from_pretrained(_TOKENIZERS / name)


def tiny_config(decoder: str = "llama", **changes: Any) -> InternVLChatConfig:
    """Two vision blocks, two decoder blocks, four visual tokens per tile of 56 pixels.

    Args:
        decoder: "llama", "qwen2", "qwen3", "qwen3_moe" or "phi3".
        changes: other values of the composite configuration; dictionaries named `vision_config` and `llm_config` are
            merged into the tiny ones.
    """
    tokenizer = tiny_tokenizer()
    vision = {
        "hidden_size": 32,
        "num_attention_heads": 2,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "image_size": IMAGE_SIZE,
        "patch_size": 14,
        "initializer_factor": 1.0,
    }
    language = {
        "architectures": [_DECODERS[decoder]],
        "vocab_size": len(tokenizer),
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "max_position_embeddings": 2048,
        "bos_token_id": None,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    values = {
        "template": "internvl2_5",
        "ps_version": "v2",
        "force_image_size": IMAGE_SIZE,
        "image_context_token_id": tokenizer.convert_tokens_to_ids(IMAGE_CONTEXT),
        **changes,
        "vision_config": vision | changes.get("vision_config", {}),
        "llm_config": language | changes.get("llm_config", {}),
    }
    return InternVLChatConfig(**values)


def tiny_model(decoder: str = "llama", *, wide: bool = True, seed: int = 0, **changes: Any) -> InternVLChatModel:
    """A random model in evaluation mode; `changes` as in `tiny_config`."""
    config = tiny_config(decoder, **changes)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = InternVLChatModel(config).eval()
        for parameter in model.parameters():
            if wide and parameter.dim() >= 2:
                parameter.data.normal_(std=0.2)
    return model


def tiny_processor(
    config: InternVLChatConfig | None = None, *, tokenizer: str = "base", max_length: int | None = None, **tiling: Any
) -> InternVLProcessor:
    """The processor of a tiny model; `tiling` are fields of `ImageTiler`."""
    config = config or tiny_config()
    return InternVLProcessor(
        tiny_tokenizer(tokenizer),
        template_of(config.to_dict()),
        ImageTiler(**{"image_size": config.image_size, **tiling}),
        tokens_per_tile=config.tokens_per_tile,
        max_length=max_length,
    )


def tiny_checkpoint(folder: Path, decoder: str = "llama", *, wide: bool = True, seed: int = 0, **changes: Any) -> Path:
    """A whole checkpoint folder, as a training run leaves it; `changes` as in `tiny_config`."""
    model = tiny_model(decoder, wide=wide, seed=seed, **changes)
    return save_checkpoint(folder, model, tiny_processor(model.config))


def tiny_picture(
    folder: Path, name: str = "picture.png", *, color: str = "red", size: tuple[int, int] = (80, 60)
) -> Path:
    """A picture file of one colour with a white corner, so that turning and cutting it show."""
    image = Image.new("RGB", size, color)
    image.paste("white", (0, 0, size[0] // 3, size[1] // 4))
    image.save(folder / name)
    return folder / name


def learned_ids(row: dict[str, Tensor]) -> list[int]:
    """The labels of a row that carry loss, in order."""
    return [label for label in row["labels"].tolist() if label >= 0]


def ask_and_answer(question: str, answer: str, *images: Path) -> Conversation:
    """One question with its pictures in front, and its answer."""
    slots = "<image>\n" * len(images)
    turns = [{"from": "human", "value": slots + question}, {"from": "gpt", "value": answer}]
    return Conversation.from_row({"image": [str(image) for image in images], "conversations": turns}, Path(), "row 1")
