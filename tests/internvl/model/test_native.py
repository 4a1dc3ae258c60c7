"""Native names: transformers' own class and ours load what the other one wrote, and no tensor is lost on the way."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import InternVLConfig, InternVLForConditionalGeneration

from internvl.errors import InputError
from internvl.model import load_model
from internvl.model.layout import as_stored
from internvl.model.native import is_native, to_chat, to_native
from internvl.model.tensors import Rearranged, TensorDict
from tests.tiny import tiny_model, tiny_processor, tiny_tokenizer
from tests.tiny_native import EXPERTS, LIKE_300M, compare_answers, load_native, vary_parameters, write_native

LAYER = "vision_tower.encoder.layer.3."


@pytest.mark.parametrize(
    ("decoder", "language"),
    [
        ("llama", {"rope_theta": 500.0, "head_dim": 16}),
        ("qwen2", {"rope_theta": 1e6, "rope_scaling": {"type": "dynamic", "factor": 2.0}}),
        ("qwen3", {"head_dim": 16}),
        ("qwen3_moe", EXPERTS | {"mlp_only_layers": [0]}),
        ("phi3", {}),
    ],
)
@pytest.mark.parametrize(("tied", "vision", "select_layer"), [(False, {}, -1), (True, LIKE_300M, -4)])
def test_both_classes_answer_alike(decoder, language, tied, vision, select_layer, tmp_path):
    language = language | {"tie_word_embeddings": tied}
    model = tiny_model(decoder, vision_config=vision, llm_config=language, select_layer=select_layer)
    vary_parameters(model)
    write_native(tmp_path, model, tiny_processor(model.config))
    stored = load_file(tmp_path / "model.safetensors")
    assert ("language_model.lm_head.weight" in stored) is not tied
    assert any(name.endswith("attention.q_norm.weight") for name in stored) is not bool(vision)
    compare_answers(model, load_native(tmp_path))
    again = dict(load_model(tmp_path).named_parameters())
    for name, parameter in model.named_parameters():
        assert torch.equal(again.pop(name), parameter), name
    assert not again


@pytest.mark.parametrize("decoder", ["llama", "qwen3_moe"])
def test_what_transformers_saved_loads_here(decoder, tmp_path):
    vision = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    language = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    language |= {"num_key_value_heads": 1, "vocab_size": 1000, "eos_token_id": 7, "pad_token_id": 5}
    config = InternVLConfig(
        vision_config=vision | {"image_size": 56, "use_qk_norm": True, "norm_type": "rms_norm"},
        text_config=language | {"model_type": decoder, **(EXPERTS if decoder == "qwen3_moe" else {})},
        image_token_id=tiny_tokenizer().convert_tokens_to_ids("<IMG_CONTEXT>"),
        image_seq_length=4,
        tie_word_embeddings=decoder == "llama",
    )
    torch.manual_seed(0)
    theirs = InternVLForConditionalGeneration(config).eval()
    for parameter in theirs.parameters():
        if parameter.dim() > 1:
            parameter.data.normal_(std=0.2)
    vary_parameters(theirs)
    theirs.save_pretrained(tmp_path)
    tiny_tokenizer().save_pretrained(tmp_path)
    compare_answers(load_model(tmp_path), theirs)


def test_there_and_back_is_the_same_to_the_byte():
    model = tiny_model("qwen3_moe", llm_config=EXPERTS, vision_config={"num_hidden_layers": 3, "qkv_bias": True})
    stored = as_stored(TensorDict(dict(model.bfloat16().named_parameters())))
    native = Rearranged(stored, to_native(stored.shapes))
    back = Rearranged(native, to_chat(native.shapes))
    assert back.shapes == stored.shapes
    assert is_native(native.shapes)
    assert not is_native(stored.shapes)
    for name in stored.shapes:
        assert torch.equal(back.read(name), stored.read(name)), name


def test_names_in_memory_are_read_too():
    theirs = {"model.vision_tower.encoder.layer.3.attention.k_norm.weight": (4,), "lm_head.weight": (9, 4)}
    theirs |= {f"model.{LAYER}attention.{letter}_proj.bias": (4,) for letter in "vkq"}
    theirs |= {"model.multi_modal_projector.linear_2.bias": (4,), "model.language_model.norm.weight": (4,)}
    layout = to_chat(theirs)
    assert {name: [piece.origin for piece in placed.pieces] for name, placed in layout.items()} == {
        "vision_model.encoder.layers.3.attn.qkv.bias": [
            f"model.{LAYER}attention.{letter}_proj.bias" for letter in "qkv"
        ],
        "vision_model.encoder.layers.3.attn.k_norm.weight": [f"model.{LAYER}attention.k_norm.weight"],
        "mlp1.3.bias": ["model.multi_modal_projector.linear_2.bias"],
        "language_model.model.norm.weight": ["model.language_model.norm.weight"],
        "language_model.lm_head.weight": ["lm_head.weight"],
    }


def test_what_is_not_known_is_kept_and_reported(tmp_path):
    alone = {f"{LAYER}attention.q_proj.weight": (4, 4), "vision_tower.layernorm.weight": (4,)}
    assert set(to_chat(alone)) == {"vision_model.encoder.layers.3.attention.q_proj.weight", *list(alone)[1:]}
    twice = {"lm_head.weight": (9, 4), "language_model.lm_head.weight": (9, 4)}
    assert set(to_chat(twice)) == set(twice)
    model = tiny_model()
    write_native(tmp_path, model, tiny_processor(model.config))
    path = Path(tmp_path / "model.safetensors")
    save_file(load_file(path) | {"vision_tower.layernorm.weight": torch.ones(32)}, path)
    with pytest.raises(InputError, match=r"1 unexpected .vision_tower.layernorm.weight.; config.json and the weights"):
        load_model(tmp_path)
