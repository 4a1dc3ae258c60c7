"""Chat checkpoints in every layout, whole and damaged: what is told about them, and whether they load."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from internvl.certificate.file import describe_files
from internvl.errors import InputError
from internvl.model import load_model
from internvl.overview.inventory import Overview
from internvl.overview.overview import make_overview
from internvl.overview.page import render
from internvl.processor import InternVLProcessor
from tests.internvl.model import test_checkpoint as damage
from tests.internvl.model.test_checkpoint import WEIGHTS, change_config, change_weights, split_weights
from tests.internvl.model.test_internlm2 import to_internlm2
from tests.internvl.model.test_layout import write_wrapped
from tests.internvl.model.test_tensor_folder import write_pickles
from tests.tiny import tiny_checkpoint
from tests.tiny_native import write_native


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tiny_checkpoint(tmp_path / "model", dynamic_image_size=True, use_thumbnail=True)


def look(folder: Path) -> Overview:
    """An overview that comes to the same verdict as loading does."""
    overview = make_overview(folder)
    try:
        load_model(folder)
        InternVLProcessor.from_pretrained(folder)
    except Exception:  # nonsense in config.json makes transformers raise anything
        assert not overview.is_usable
        assert overview.problems
        assert overview.uses == ()
    else:
        assert overview.is_usable
        assert overview.problems == ()
    return overview


def test_a_whole_checkpoint(folder):
    overview = look(folder)
    assert overview.kind == "chat checkpoint"
    assert overview.family.text.startswith("a model of its own")
    assert overview.facts["layout"] == "of OpenGVLab; safetensors, one file"
    assert "2 layers of width 32 with 2 heads" in overview.facts["vision tower"]
    assert overview.facts["projector"].startswith(
        "128 to 32; pixel shuffle v2 (2 x 2 patches are one token, row by row)"
    )
    assert overview.facts["language model"].startswith(
        "LlamaForCausalLM, 2 layers of width 32 with 2 heads (1 for keys"
    )
    assert overview.facts["pictures"] == "1 to 6 tiles of 56 pixels, and a thumbnail beside several"
    assert overview.facts["visual tokens"].startswith("4 per tile; 6 to 30 for a picture")
    assert "fits the 1,000 rows" in overview.facts["tokenizer"]
    assert overview.facts["certificate"] == "none"
    assert [part.name for part in overview.parts] == ["vision tower", "projector", "language model"]
    stored = load_file(folder / WEIGHTS)
    assert sum(part.parameters for part in overview.parts) == sum(tensor.numel() for tensor in stored.values())
    assert overview.accounts.stored == len(stored)
    assert overview.accounts.are_right
    assert overview.unused == {}
    assert dict(overview.uses)["evaluate"] == f"sh evaluate.sh {folder} <benchmark>"
    assert dict(overview.uses)[""] == "layouts: internvl, hf, internlm2; its parts: vision, projector"


def test_where_the_system_text_comes_from(folder):
    def read(**changes: object) -> str:
        change_config(folder, **changes)
        return make_overview(folder).facts["system text"]

    change_config(folder, template="Hermes-2")
    assert read(system_message=None).startswith("of the template, because system_message is null: 你是")
    assert read(system_message="remove").startswith("of the template, because config.json has no system_message: 你是")
    assert read(system_message="Mine.") == "of config.json: Mine."
    text = read(system_message="remove", ps_version="remove")
    assert text == "of February 2024, because config.json has no ps_version: Answer the questions."


def test_the_first_pixel_shuffle_is_no_model_of_transformers(folder):
    change_config(folder, ps_version="v1")
    overview = look(folder)
    assert dict(overview.uses)[""] == "layouts: internvl, internlm2; its parts: vision, projector"
    assert any(remark.startswith("it has no hf form; ps_version: expected v2") for remark in overview.remarks)


def test_shards_pickles_and_files_that_are_not_read(folder):
    state = load_file(folder / WEIGHTS)
    split_weights(folder)
    write_pickles(folder, state)
    (folder / "modeling_internvl_chat.py").write_text("raise SystemExit")
    overview = look(folder)
    assert overview.facts["layout"].endswith("safetensors, 3 files")
    assert overview.unused["remote code, never run"] == ("modeling_internvl_chat.py",)
    assert overview.unused["weights beside those that are read"] == ("pytorch_model.bin",)
    for path in folder.glob("*.safetensors*"):
        path.unlink()
    assert look(folder).facts["layout"].endswith(".bin, one file")


def test_an_internlm2_and_what_is_derived(folder):
    state = to_internlm2(load_file(folder / WEIGHTS), 2, 1)
    name = "language_model.model.layers.0.attention.rotary_emb.inv_freq"
    save_file({n: t.contiguous() for n, t in state.items()} | {name: torch.ones(8)}, folder / WEIGHTS)
    overview = look(folder)
    assert "the language model an InternLM2" in overview.facts["layout"]
    assert overview.accounts.ignored == (name,)
    assert any(name in remark for remark in overview.remarks)


def test_the_layout_of_transformers_tells_no_template(folder, tmp_path):
    native = tmp_path / "native"
    native.mkdir()
    write_native(native, load_model(folder), InternVLProcessor.from_pretrained(folder))
    overview = look(native)
    assert overview.facts["layout"] == "of transformers' own class; safetensors, one file"
    assert overview.facts["system text"].startswith("of config.json")
    assert [part.parameters for part in overview.parts] == [part.parameters for part in make_overview(folder).parts]
    # As it is published, without what this project adds.
    change_config(native, internvl_chat="remove")
    (native / "preprocessor_config.json").unlink()
    overview = look(native)
    assert overview.facts["template"].startswith("internvl2_5")
    assert overview.facts["system text"].startswith("of the template, which this layout does not tell")


def test_adapters_in_place_are_told(tmp_path):
    write_wrapped(tmp_path / "model")
    overview = look(tmp_path / "model")
    assert "LoRA adapters in place (rank 3 in the language model, 2 in the vision tower)" in overview.facts["layout"]
    assert "adapters are merged" in dict(overview.uses)["loads"]
    assert overview.accounts.stored > sum(part.tensors for part in overview.parts)


def test_adapters_that_are_only_told_are_a_remark(folder):
    change_config(folder, use_llm_lora=16)
    assert any("use_llm_lora" in remark for remark in look(folder).remarks)


def test_a_tokenizer_beyond_the_word_matrices_is_a_remark(tmp_path):
    overview = look(tiny_checkpoint(tmp_path / "model", llm_config={"vocab_size": 900}))
    assert "does not fit the 900 rows" in overview.facts["tokenizer"]
    assert any("highest id is 999, the word matrices have 900 rows" in remark for remark in overview.remarks)


def test_several_types_of_numbers_are_told(folder):
    change_weights(folder, lambda state: state.update({"mlp1.0.weight": state["mlp1.0.weight"].bfloat16()}))
    overview = look(folder)
    assert overview.parts[1].dtypes == ("bfloat16", "float32")
    assert any("several types" in remark for remark in overview.remarks)


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (damage.lose_tensor, "1 missing (vision_model.encoder.layers.1.attn.q_norm.weight)"),
        (damage.add_tensor, "1 unexpected (vision_model.encoder.layers.9.ls1)"),
        (damage.change_shape, "mlp1.1.bias [3] for [32]"),
        (damage.cut_weights, "readable weights"),
        (damage.lose_shard, "model-00003-of-00003.safetensors"),
        (damage.lose_tokenizer, "tokenizer"),
        (damage.lose_all_of_the_tokenizer, "tokenizer_config.json"),
        (damage.lose_placeholder, "<IMG_CONTEXT>"),
        (damage.lose_template, "template"),
        (damage.rename_decoder, "OtherForCausalLM"),
        (lambda folder: (folder / "config.json").write_text("{"), "JSON"),
        (lambda folder: (folder / "config.json").unlink(), "config.json"),
        (lambda folder: (folder / WEIGHTS).unlink(), WEIGHTS),
    ],
)
def test_of_a_damaged_folder_everything_else_is_told(harm: Callable[[Path], object], told: str, folder: Path):
    harm(folder)
    overview = look(folder)
    assert any(told in problem for problem in overview.problems), overview.problems
    assert not any("\n" in problem for problem in overview.problems)
    assert sum(part.tensors for part in overview.parts) > 50 or harm is damage.rename_decoder
    if harm in (damage.cut_weights, damage.lose_shard):
        assert overview.parts[0].bytes is None
    if harm is damage.lose_template:
        assert overview.accounts.are_right


def test_two_damages_are_both_told(folder):
    damage.lose_shard(folder)
    damage.lose_placeholder(folder)
    problems = make_overview(folder).problems
    assert any("model-00003" in problem for problem in problems)
    assert any("<IMG_CONTEXT>" in problem for problem in problems)


def test_a_model_with_qllama_is_named_with_what_to_use(folder):
    change_config(folder, qllama_config={})
    overview = look(folder)
    assert overview.family.text == "InternVL-Chat V1.0"
    assert any("InternVL-Chat-V1-2 or later" in problem for problem in overview.problems)


def test_a_value_that_makes_no_sense_is_a_problem_and_the_rest_is_told(folder):
    values = json.loads((folder / "config.json").read_text())
    told = set()
    for key, value in (
        ("downsample_ratio", 0),
        ("force_image_size", "word"),
        ("max_dynamic_patch", None),
        ("select_layer", "last"),
        ("vision_config", 3),
        ("vision_config", values["vision_config"] | {"hidden_size": None}),
        ("vision_config", values["vision_config"] | {"patch_size": 0}),
        ("vision_config", values["vision_config"] | {"drop_path_rate": None}),
        ("llm_config", []),
        ("llm_config", values["llm_config"] | {"architectures": -1}),
        ("llm_config", values["llm_config"] | {"num_attention_heads": "two"}),
    ):
        (folder / "config.json").write_text(json.dumps(values | {key: value}))
        overview = look(folder)
        told.add(overview.is_usable)
        assert overview.facts["certificate"] == "none"
        assert sum(part.tensors for part in overview.parts) == 57
        assert render(overview)
    # The rate is chosen by whoever loads it.
    assert told == {True, False}


def test_a_certificate_holds_for_the_files_it_was_written_for(folder):
    values = {"holds": True, "reasons": [], "output": {"files": describe_files(folder)}}
    (folder / "certificate.json").write_text(json.dumps(values))
    overview = look(folder)
    assert overview.facts["certificate"] == "holds; the files have the recorded sizes"
    assert overview.unused == {}
    change_config(folder, image_context_token_id=3)
    overview = look(folder)
    assert overview.facts["certificate"] == "does not hold, see below"
    (remark,) = overview.remarks
    assert remark.startswith("certificate: it does not hold; config.json has ")


def test_nothing_to_look_at(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"^inspect: expected a folder or file, got .*lost"):
        make_overview(tmp_path / "lost")
    with pytest.raises(InputError, match=r"^inspect: expected config.json, weights or a training run in"):
        make_overview(tmp_path)
