"""The parts of a chat model: the names of their tensors, and one line about what is broken."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import AutoModelForCausalLM

from internvl.errors import InputError
from internvl.model import InternVisionModel, InternVLChatConfig
from internvl.model.projector import build_projector
from internvl.model.tensors import TensorSource
from internvl.parts import make_projector, open_language, open_projector, open_vision
from tests.tiny_parts import LANGUAGE_WIDTH, VISION_WIDTH, WEIGHTS, turn_into_internlm2, write_language, write_projector
from tests.tiny_parts import write_vision as write_tower


def read_all(source: TensorSource) -> dict[str, Tensor]:
    return {name: source.read(name).view(shape) for name, shape in source.shapes.items()}


def check_equal(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> None:
    assert ours.keys() == theirs.keys()
    assert [name for name in theirs if not torch.equal(ours[name], theirs[name])] == []


def add_tensor(folder: Path, name: str) -> None:
    state = load_file(folder / WEIGHTS) | {name: torch.ones(3)}
    save_file(state, folder / WEIGHTS, metadata={"format": "pt"})


@pytest.mark.parametrize("prefix", ["", "vision_model."])
def test_a_vision_tower_has_our_names(prefix, tmp_path):
    config, source = open_vision(write_tower(tmp_path, prefix=prefix))
    assert (config.hidden_size, config.image_size) == (VISION_WIDTH, 56)
    check_equal(read_all(source), InternVisionModel.from_pretrained(write_tower(tmp_path / "bare")).state_dict())


@pytest.mark.parametrize("kind", ["llama", "qwen2"])
@pytest.mark.parametrize("shards", ["1GB", "20KB"])
def test_a_language_model_has_the_names_of_transformers(kind, shards, tmp_path):
    config, source = open_language(write_language(tmp_path, kind, max_shard_size=shards))
    assert len(list(tmp_path.glob("*.safetensors"))) > 3 or shards == "1GB"
    assert (config.model_type, config.tie_word_embeddings) == (kind, False)
    check_equal(read_all(source), AutoModelForCausalLM.from_pretrained(tmp_path).state_dict())


def test_a_stored_head_counts_whatever_is_said_about_tying(tmp_path):
    folder = write_language(tmp_path, "qwen2", tie_word_embeddings=True)
    config, source = open_language(folder)
    assert config.tie_word_embeddings
    assert "lm_head.weight" not in source.shapes
    add_tensor(folder, "lm_head.weight")
    config, source = open_language(folder)
    assert not config.tie_word_embeddings
    assert "lm_head.weight" in source.shapes


def test_an_internlm2_is_a_llama(tmp_path):
    expected = AutoModelForCausalLM.from_pretrained(write_language(tmp_path)).state_dict()
    turn_into_internlm2(tmp_path)
    assert "model.layers.0.attention.wqkv.weight" in load_file(tmp_path / WEIGHTS)
    config, source = open_language(tmp_path)
    assert config.model_type == "llama"
    check_equal(read_all(source), expected)


def test_stored_rotary_frequencies_are_passed_over(tmp_path):
    _, source = open_language(write_language(tmp_path))
    add_tensor(tmp_path, "model.layers.0.self_attn.rotary_emb.inv_freq")
    assert dict(open_language(tmp_path)[1].shapes) == dict(source.shapes)


@pytest.mark.parametrize("prefix", ["", "mlp1."])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_projector_file_has_published_names_and_its_type(prefix, dtype, tmp_path):
    wanted = build_projector(VISION_WIDTH, LANGUAGE_WIDTH, 0.5)
    projector = open_projector(write_projector(tmp_path / "mlp.pth", prefix=prefix, dtype=dtype), wanted, "a to b")
    assert list(projector) == ["0.weight", "0.bias", "1.weight", "1.bias", "3.weight", "3.bias"]
    check_equal(projector, torch.load(write_projector(tmp_path / "bare.pth", dtype=dtype)))


def test_a_new_projector_depends_on_its_seed_alone():
    config = InternVLChatConfig(
        vision_config={"hidden_size": 8, "num_attention_heads": 2},
        llm_config={"architectures": ["LlamaForCausalLM"], "hidden_size": 64, "dtype": torch.bfloat16},
    )
    state = torch.get_rng_state()
    first = make_projector(config, seed=1)
    assert torch.equal(torch.get_rng_state(), state)
    torch.rand(3)
    check_equal(make_projector(config, seed=1), first)
    assert not torch.equal(make_projector(config, seed=2)["1.weight"], first["1.weight"])
    assert {tensor.dtype for tensor in first.values()} == {torch.bfloat16}
    assert first["1.weight"].shape == (64, 32)
    assert first["1.weight"].float().std() == pytest.approx(32**-0.5 / 3**0.5, rel=0.1)


def lose_weights(folder: Path) -> None:
    (folder / WEIGHTS).rename(folder / "weights.bin")


def cut_weights(folder: Path) -> None:
    (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:-9])


def config_with(text: str) -> Callable[[Path], Any]:
    return lambda folder: (folder / "config.json").write_text(text)


def lose_config(folder: Path) -> None:
    (folder / "config.json").unlink()


COMMON = [
    (lose_weights, r"expected weights in .*, got no model.safetensors"),
    (cut_weights, r"^checkpoint: expected readable weights in .*; copy the folder again"),
    (lose_config, r"expected JSON in .*config.json, got .*; copy it again"),
    (config_with("{"), r"expected JSON in .*config.json, got .*; copy it again"),
    (config_with("[]"), r"expected an object in .*config.json, got list; copy it again"),
]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        *COMMON,
        (config_with(json.dumps({"model_type": "internvl_chat"})), "expected model_type intern_vit_6b in .* got 'i"),
    ],
)
def test_a_broken_vision_tower_is_named_in_one_line(damage, message, tmp_path):
    damage(write_tower(tmp_path))
    with pytest.raises(InputError, match=message) as caught:
        open_vision(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        *COMMON,
        (
            config_with('{"architectures": ["OtherForCausalLM"]}'),
            r"^llm_path: .*config.json: .*, got 'OtherForCausalLM'",
        ),
        (
            config_with('{"architectures": ["LlamaForCausalLM"], "hidden_size": 33}'),
            r"^llm_path: expected values in .*config.json that transformers takes, got .*hidden size \(33\).*; copy it",
        ),
    ],
)
def test_a_broken_language_model_is_named_in_one_line(damage, message, tmp_path):
    damage(write_language(tmp_path))
    with pytest.raises(InputError, match=message) as caught:
        open_language(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_part_that_is_no_folder_is_named(tmp_path):
    for option, opened in (("vision_path", open_vision), ("llm_path", open_language)):
        with pytest.raises(FileNotFoundError, match=rf"^{option}: expected a folder, got .*lost, which is none"):
            opened(tmp_path / "lost")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"expected tensors by name, written by torch.save, in .*mlp.pth, got \w+: .*; copy the file again"),
        (b"words", r"expected tensors by name, written by torch.save"),
        ([1, 2], r"expected tensors by name, written by torch.save"),
        ({"0.weight": 3}, r"expected tensors by name, written by torch.save"),
        (print, r"expected tensors by name, written by torch.save"),
        ({}, r"expected the tensors 0.weight, .*, 3.bias in .*, got none; give"),
        ({"weight": torch.ones(3)}, r"expected the tensors 0.weight, .*, 3.bias in .*, got weight; give"),
    ],
)
def test_a_broken_projector_file_is_named_in_one_line(content, message, tmp_path):
    path = tmp_path / "mlp.pth"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    with pytest.raises(InputError, match=rf"^mlp_path: {message}") as caught:
        open_projector(path, build_projector(VISION_WIDTH, LANGUAGE_WIDTH, 0.5), "a to b")
    assert "\n" not in str(caught.value)


def test_a_projector_of_other_widths_names_both_sides(tmp_path):
    path = write_projector(tmp_path / "mlp.pth")
    with pytest.raises(
        InputError, match=r"expected 1.weight of shape \(40, 128\), from a to b, got \(48, 128\) in .*pth"
    ):
        open_projector(path, build_projector(VISION_WIDTH, 40, 0.5), "a to b")
    with pytest.raises(InputError, match=r"expected 0.weight of shape \(32,\), from a to b, got \(128,\) in .*mlp.pth"):
        open_projector(path, build_projector(VISION_WIDTH, LANGUAGE_WIDTH, 1.0), "a to b")
