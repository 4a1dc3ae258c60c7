"""A tiny checkpoint in the layout of transformers' own class, written by transformers; ours has no part in it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from transformers import GotOcr2ImageProcessor, InternVLConfig, InternVLForConditionalGeneration
from transformers import InternVLProcessor as NativeProcessor
from transformers.models.internvl.video_processing_internvl import InternVLVideoProcessor

from internvl.model import InternVLChatModel
from internvl.template import ChatTemplate
from tests.tiny import TOKENS_PER_TILE, tiny_processor, tiny_tokenizer

_RENAMES = (
    ("vision_model.embeddings.class_embedding", "model.vision_tower.embeddings.cls_token"),
    ("vision_model.embeddings.position_embedding", "model.vision_tower.embeddings.position_embeddings"),
    ("vision_model.embeddings.patch_embedding.", "model.vision_tower.embeddings.patch_embeddings.projection."),
    ("vision_model.encoder.layers.", "model.vision_tower.encoder.layer."),
    (".attn.q_norm.", ".attention.q_norm."),
    (".attn.k_norm.", ".attention.k_norm."),
    (".attn.proj.", ".attention.projection_layer."),
    (".norm1.", ".layernorm_before."),
    (".norm2.", ".layernorm_after."),
    (".ls1", ".lambda_1"),
    (".ls2", ".lambda_2"),
    ("mlp1.0.", "model.multi_modal_projector.layer_norm."),
    ("mlp1.1.", "model.multi_modal_projector.linear_1."),
    ("mlp1.3.", "model.multi_modal_projector.linear_2."),
    ("language_model.lm_head.", "lm_head."),
    ("language_model.model.", "model.language_model."),
)


def write_transformers(folder: Path, model: InternVLChatModel) -> Path:
    """The same network; its tokenizer, tiling and template too."""
    native = make_native(model)
    native.save_pretrained(folder)
    tokenizer = tiny_tokenizer()
    words = {"start_image_token": "<img>", "end_image_token": "</img>", "context_image_token": "<IMG_CONTEXT>"}
    tokenizer.save_pretrained(folder)
    path = folder / "tokenizer_config.json"
    path.write_text(
        json.dumps(json.loads(path.read_text()) | {"extra_special_tokens": words | {"video_token": "<video>"}})
    )
    config: Any = model.config
    tiling = {"height": config.image_size, "width": config.image_size}
    pictures = GotOcr2ImageProcessor(
        size=tiling,
        crop_to_patches=config.dynamic_image_size,
        min_patches=config.min_dynamic_patch,
        max_patches=config.max_dynamic_patch if config.dynamic_image_size else 1,
        image_mean=[0.485, 0.456, 0.406],
        image_std=[0.229, 0.224, 0.225],
    )
    processor = NativeProcessor(
        pictures,
        type(tokenizer).from_pretrained(folder),
        InternVLVideoProcessor(size=tiling),
        image_seq_length=TOKENS_PER_TILE,
        chat_template=write_template(tiny_processor(config).template),
    )
    processor.save_pretrained(folder)
    return folder


def write_template(template: ChatTemplate) -> str:
    """The template as transformers renders it, for questions of one turn."""
    head = json.dumps(template.system_head + template.system + template.system_end, ensure_ascii=False)
    return (
        f"{{{{ {head} }}}}{{% for message in messages %}}{{{{ {json.dumps(template.user_head)} }}}}"
        "{% for part in message['content'] %}{% if part['type'] == 'image' %}{{ '<IMG_CONTEXT>\\n' }}"
        "{% else %}{{ part['text'] }}{% endif %}{% endfor %}"
        f"{{{{ {json.dumps(template.user_end)} }}}}{{% endfor %}}{{{{ {json.dumps(template.assistant_head)} }}}}"
    )


def make_native(model: InternVLChatModel) -> InternVLForConditionalGeneration:
    """The weights of our model in transformers' own."""
    config: Any = model.config
    vision = config.vision_config
    own = {
        "hidden_size": vision.hidden_size,
        "num_hidden_layers": vision.num_hidden_layers,
        "num_attention_heads": vision.num_attention_heads,
        "attention_bias": vision.qkv_bias,
        "use_qk_norm": vision.qk_normalization,
        "intermediate_size": vision.intermediate_size,
        "norm_type": vision.norm_type,
        "image_size": [config.image_size] * 2,
        "patch_size": [vision.patch_size] * 2,
    }
    native = InternVLForConditionalGeneration(
        InternVLConfig(
            vision_config=own,
            text_config=config.llm_config.to_dict(),
            image_token_id=config.image_context_token_id,
            image_seq_length=TOKENS_PER_TILE,
            vision_feature_layer=config.select_layer,
            tie_word_embeddings=False,
        )
    )
    state: dict[str, torch.Tensor] = {}
    for name, parameter in model.named_parameters():
        renamed = name
        for old, new in _RENAMES:
            renamed = renamed.replace(old, new)
        if ".attn.qkv." in renamed:
            for letter, part in zip("qkv", parameter.data.chunk(3), strict=True):
                state[renamed.replace(".attn.qkv.", f".attention.{letter}_proj.")] = part
        else:
            state[renamed] = parameter.data
    native.load_state_dict(state, strict=True)
    return native
