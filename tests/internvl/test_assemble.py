"""A chat checkpoint out of its parts: it computes what the parts compute, once, in bounded memory, or not at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, AutoTokenizer

from internvl.assemble import assemble
from internvl.model import InternVisionModel, load_model
from internvl.model.projector import build_projector, pixel_shuffle
from internvl.processor import InternVLProcessor
from internvl.template import find_template
from internvl.tiler import normalize
from internvl.tokens import SPECIAL_TOKENS
from tests.tiny import ask_and_answer, tiny_picture
from tests.tiny_parts import (
    LANGUAGE_WIDTH,
    VISION_WIDTH,
    WEIGHTS,
    turn_into_internlm2,
    write_language,
    write_parts,
    write_projector,
    write_vision,
)

ROOT = Path(__file__).parents[2]
WORDS, HEAD = ("language_model.model.embed_tokens.weight", "language_model.lm_head.weight")


@pytest.fixture
def parts(tmp_path: Path) -> dict[str, Path]:
    return write_parts(tmp_path)


def read_weights(folder: Path) -> dict[str, Tensor]:
    return {name: tensor for path in folder.glob("*.safetensors") for name, tensor in load_file(path).items()}


def read_config(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "config.json").read_text()))


def compute(parts: dict[str, Path], ids: Tensor, tiles: Tensor, context_id: int, **choices: Any) -> Tensor:
    """The logits of parts that are joined by hand; no id but the placeholder is a new one."""
    vision = InternVisionModel.from_pretrained(parts["vision_path"]).eval()
    language = AutoModelForCausalLM.from_pretrained(parts["llm_path"]).eval()
    projector = build_projector(VISION_WIDTH, LANGUAGE_WIDTH, choices.get("ratio", 0.5))
    projector.load_state_dict(torch.load(parts["mlp_path"]))
    with torch.no_grad():
        states = vision(normalize(tiles)).hidden_states[choices.get("select_layer", -1)]
        version = choices.get("ps_version", "v2")
        tokens = projector(pixel_shuffle(states[:, 1:], choices.get("ratio", 0.5), version)).flatten(0, 1)
        embeds = language.get_input_embeddings()(ids.masked_fill(ids == context_id, 0))
        embeds[ids == context_id] = tokens
        return language(inputs_embeds=embeds).logits


def check_logits(folder: Path, parts: dict[str, Path], num_tokens: int = 4, **choices: Any) -> None:
    model = load_model(folder)
    ids = torch.tensor([[20, 21, *[model.context_id] * num_tokens * 2, 22, 23]])
    tiles = torch.randint(0, 256, (2, 3, 56, 56), dtype=torch.uint8)
    expected = compute(parts, ids, tiles, model.context_id, **choices)
    with torch.no_grad():
        logits = model(ids, tiles).logits
    assert logits.shape[-1] != expected.shape[-1]
    shared = min(logits.shape[-1], expected.shape[-1]) - 9
    torch.testing.assert_close(logits[..., :shared], expected[..., :shared], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", ["llama", "qwen2"])
def test_it_computes_what_its_parts_compute(kind, parts, tmp_path):
    parts["llm_path"] = write_language(tmp_path / kind, kind)
    check_logits(assemble(tmp_path / "chat", **parts), parts)


@pytest.mark.parametrize(
    "choices",
    [{"ps_version": "v1"}, {"select_layer": -2}, {"select_layer": 0}, {"ratio": 1.0}, {"ratio": 0.25}],
    ids=str,
)
def test_choices_reach_the_model(choices, parts, tmp_path):
    options = {name: value for name, value in choices.items() if name != "ratio"}
    ratio = choices.get("ratio", 0.5)
    write_projector(parts["mlp_path"], ratio=ratio)
    folder = assemble(tmp_path / "chat", **parts, **options, down_sample_ratio=ratio)
    check_logits(folder, parts, int(16 * ratio**2), **choices)


def test_names_with_a_prefix_and_shards_are_the_same_model(parts, tmp_path):
    expected = read_weights(assemble(tmp_path / "chat", **parts))
    other = {
        "vision_path": write_vision(tmp_path / "prefix", prefix="vision_model."),
        "llm_path": write_language(tmp_path / "shards", max_shard_size="20KB"),
        "mlp_path": write_projector(tmp_path / "prefix.pth", prefix="mlp1."),
    }
    folder = assemble(tmp_path / "other", **other, max_bytes=80_000)
    sizes = [path.stat().st_size for path in folder.glob("*.safetensors")]
    assert len(sizes) > 3
    assert max(sizes) < 90_000
    state = read_weights(folder)
    assert state.keys() == expected.keys()
    assert [name for name in state if not torch.equal(state[name], expected[name])] == []


def test_an_internlm2_gives_the_model_of_its_llama(parts, tmp_path):
    expected = read_weights(assemble(tmp_path / "chat", **parts))
    turn_into_internlm2(parts["llm_path"])
    state = read_weights(assemble(tmp_path / "other", **parts))
    assert state.keys() == expected.keys()
    assert [name for name in state if not torch.equal(state[name], expected[name])] == []


@pytest.mark.parametrize("padding", [0, 40])
def test_words_grow_by_the_published_rule(padding, parts, tmp_path):
    folder = write_language(tmp_path / "llm", padding=padding, words=("<img>", "</img>"))
    before = {f"language_model.{name}": tensor for name, tensor in load_file(folder / WEIGHTS).items()}
    old = AutoTokenizer.from_pretrained(folder)
    chat = assemble(tmp_path / "chat", **parts | {"llm_path": folder})
    tokenizer = InternVLProcessor.from_pretrained(chat).tokenizer
    assert len(tokenizer) == len(old) + 7
    assert tokenizer.convert_tokens_to_ids("<IMG_CONTEXT>") == len(old) == load_model(chat).context_id
    config, state = read_config(chat), read_weights(chat)
    assert config["llm_config"]["vocab_size"] == len(tokenizer)
    assert config["image_context_token_id"] == len(old)
    assert torch.equal(state[WORDS][:-7], before[WORDS][: len(old)])
    assert torch.equal(state[HEAD][:-7], before[HEAD][: len(old)])
    torch.testing.assert_close(state[HEAD][-7:], before[HEAD][: len(old)].mean(0).expand(7, -1))
    if padding:
        assert torch.equal(state[WORDS][-7:], before[WORDS][len(old) : len(old) + 7])
    else:
        assert state[WORDS][-7:].std() == pytest.approx(0.02, rel=0.2)
    untouched = [name for name in before if name not in (WORDS, HEAD)]
    assert [name for name in untouched if not torch.equal(before[name], state[name])] == []


@pytest.mark.parametrize("padding", [0, 40])
def test_a_model_that_has_the_tokens_keeps_its_words(padding, parts, tmp_path):
    folder = write_language(tmp_path / "llm", padding=padding, tokens=SPECIAL_TOKENS)
    before = load_file(folder / WEIGHTS)
    state = read_weights(assemble(tmp_path / "chat", **parts | {"llm_path": folder}))
    assert torch.equal(state[WORDS], before["model.embed_tokens.weight"])
    assert torch.equal(state[HEAD], before["lm_head.weight"])


def test_tied_words_stay_tied_and_their_new_rows_are_the_mean(parts, tmp_path):
    parts["llm_path"] = write_language(tmp_path / "tied", "qwen2", tie_word_embeddings=True)
    folder = assemble(tmp_path / "chat", **parts)
    state = read_weights(folder)
    assert HEAD not in state
    torch.testing.assert_close(state[WORDS][-9:], state[WORDS][:-9].mean(0).expand(9, -1))
    model = load_model(folder)
    assert model.language_model.lm_head.weight is model.get_input_embeddings().weight
    assert read_config(folder)["tie_word_embeddings"] is True
    check_logits(folder, parts)


def test_positions_follow_the_size_of_the_tiles(parts, tmp_path):
    folder = assemble(tmp_path / "chat", **parts, force_image_size=112)
    model = load_model(folder)
    config = model.config
    assert (config.image_size, config.vision_config.image_size, config.tokens_per_tile) == (112, 112, 16)
    small = InternVisionModel.from_pretrained(parts["vision_path"]).eval()
    with torch.no_grad():
        tiles = torch.rand(1, 3, 112, 112)
        expected = small(tiles).last_hidden_state  # resampled in every forward
        torch.testing.assert_close(model.vision_model(tiles).last_hidden_state, expected)
    same = assemble(tmp_path / "same", **parts, force_image_size=56)
    name = "embeddings.position_embedding"
    assert torch.equal(read_weights(same)[f"vision_model.{name}"], load_file(parts["vision_path"] / WEIGHTS)[name])


def test_stored_types_stay(parts, tmp_path):
    write_vision(parts["vision_path"], dtype=torch.float16)
    write_language(parts["llm_path"], dtype=torch.bfloat16)
    folder = assemble(tmp_path / "chat", **parts)
    types = {(name.split(".")[0], tensor.dtype) for name, tensor in read_weights(folder).items()}
    halves = {("vision_model", torch.float16), ("language_model", torch.bfloat16)}
    assert types == {*halves, ("mlp1", torch.float32)}
    config = read_config(folder)
    values = (config["dtype"], config["vision_config"]["dtype"], config["llm_config"]["dtype"])
    assert values == ("bfloat16", "float16", "bfloat16")
    assert {parameter.dtype for parameter in load_model(folder).parameters()} == {torch.float32}


def test_without_a_projector_a_new_one_is_seeded(parts, tmp_path):
    del parts["mlp_path"]
    first, same, other = (read_weights(assemble(tmp_path / str(n), **parts, seed=n // 2)) for n in range(3))
    mlp = nn.Sequential(nn.LayerNorm(128), nn.Linear(128, LANGUAGE_WIDTH), nn.GELU(), nn.Linear(LANGUAGE_WIDTH, 48))
    mlp.load_state_dict({n.removeprefix("mlp1."): t for n, t in first.items() if n.startswith("mlp1.")})
    assert all(torch.equal(first[name], same[name]) for name in first)
    changed = {name for name in first if not torch.equal(first[name], other[name])}
    assert changed == {"mlp1.1.weight", "mlp1.1.bias", "mlp1.3.weight", "mlp1.3.bias", WORDS}


def test_config_json_has_the_published_keys(parts, tmp_path):
    options = {"dynamic_image_size": True, "use_thumbnail": True, "max_dynamic_patch": 6, "pad2square": True}
    config = read_config(assemble(tmp_path / "chat", **parts, **options, template="internvl2_5", ps_version="v1"))
    expected = options | {
        "model_type": "internvl_chat",
        "architectures": ["InternVLChatModel"],
        "downsample_ratio": 0.5,
        "force_image_size": 56,
        "min_dynamic_patch": 1,
        "ps_version": "v1",
        "select_layer": -1,
        "template": "internvl2_5",
        "system_message": find_template("internvl2_5").system,
        "use_llm_lora": 0,
        "use_backbone_lora": 0,
    }
    assert {name: config.get(name) for name in expected} == expected
    assert config["llm_config"]["architectures"] == ["LlamaForCausalLM"]


@pytest.mark.parametrize("template", ["Hermes-2", "Hermes-2@internvl-v1.2", "internlm2-chat@internvl-v1.2"])
def test_the_template_is_found_again(template, parts, tmp_path):
    folder = assemble(tmp_path / "chat", **parts, template=template)
    chosen, turns = find_template(template), ask_and_answer("What? ", " Red\n").turns
    processor = InternVLProcessor.from_pretrained(folder)
    assert processor.template.render(turns, training=True) == chosen.render(turns, training=True)
    assert read_config(folder)["template"] == ("Hermes-2" if template.startswith("Hermes-2") else template)
    row = processor(ask_and_answer("What color?", "red", tiny_picture(tmp_path)), training=True)
    assert load_model(folder)(**{n: t if n == "pixel_values" else t[None] for n, t in row.items()}).loss > 0
