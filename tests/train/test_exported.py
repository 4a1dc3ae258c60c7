"""The exported model: adapters merged as peft merges them, adapters by themselves as peft reads them, nothing else."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from torch import Tensor

from internvl.errors import InputError
from internvl.folder import weight_files
from internvl.model import InternVLChatModel, load_model
from internvl.model.checkpoint import open_checkpoint
from internvl.model.tensors import Overlay, TensorSource
from tests.tiny import tiny_checkpoint, tiny_processor
from train.beginning import FreshAdapters, fill
from train.config import ModelConfig
from train.exported import export_model
from train.parts import choose_parts, name_stored
from train.shard import make_shard, whole_shards
from train.state import SavedState, save_state

# A call of peft's own.
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated")


def train(folder: Path, options: ModelConfig) -> tuple[InternVLChatModel, Path, TensorSource]:
    """A model as some steps of training leave it, its checkpoint, and what it began with."""
    _, base = open_checkpoint(Path(options.pretrained))
    model = load_model(options.pretrained)
    choose_parts(model, options)
    fill(whole_shards(model), Overlay(FreshAdapters(model, 0), base))
    torch.manual_seed(7)
    trained = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    for parameter in trained.values():
        parameter.data += 0.1 * torch.randn_like(parameter)
    shards = [make_shard(name, 0, parameter.data.view(-1)) for name, parameter in trained.items()]
    shapes = {name_stored(name): tuple(parameter.shape) for name, parameter in trained.items()}
    save_state(folder / "step-1", shards, {"global_step": 1}, shapes, rank=0, barrier=lambda: None)
    return model.eval(), folder / "step-1", base


def export(folder: Path, options: ModelConfig, dtype: torch.dtype = torch.float32) -> tuple[InternVLChatModel, Path]:
    """The trained model, and the folder that it was exported to."""
    model, state, base = train(folder, options)
    target = folder / "export"
    written = export_model(target, SavedState(state), base, model.config, tiny_processor(model.config), options, dtype)
    assert written == target
    return model, target


def compute_logits(model: InternVLChatModel) -> Tensor:
    """For two rows with a tile each."""
    generator = torch.Generator().manual_seed(3)
    ids = torch.randint(5, 200, (2, 12), generator=generator)
    ids[:, 2:6] = model.context_id
    pixels = torch.randn(2, 3, 56, 56, generator=generator)
    with torch.no_grad():
        logits: Tensor = model.eval()(input_ids=ids, pixel_values=pixels).logits
    return logits


OPTIONS: dict[str, dict[str, Any]] = {
    "all": {},
    "projector": {"freeze_backbone": True, "freeze_llm": True},
    "both adapters": {"use_backbone_lora": 3, "use_llm_lora": 4},
    "adapters of the language model alone": {"use_llm_lora": 2, "freeze_backbone": True, "freeze_mlp": True},
    "a scale": {"use_llm_lora": 4, "lora_alpha": 3},
    "adapters on blocks that learn": {"use_backbone_lora": 2, "freeze_llm": True, "unfreeze_vit_layers": 1},
    "adapters and head": {"use_llm_lora": 2, "unfreeze_lm_head": True},
}


@pytest.mark.parametrize("decoder", ["llama", "qwen2"])
@pytest.mark.parametrize("name", OPTIONS)
def test_the_export_computes_what_was_trained(name, decoder, tmp_path):
    base = tiny_checkpoint(tmp_path / "base", decoder)
    trained, folder = export(tmp_path, ModelConfig(str(base), **OPTIONS[name]))
    exported = load_model(folder)
    assert {name for name, _ in exported.named_parameters()} == {
        name for name, _ in load_model(base).named_parameters()
    }
    expected = compute_logits(trained)
    assert not torch.allclose(compute_logits(load_model(base)), expected, atol=1e-2)
    torch.testing.assert_close(compute_logits(exported), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("part", ["vision_model", "language_model"])
def test_adapters_load_in_peft_and_merge_to_the_same_weights(part, tmp_path):
    base = tiny_checkpoint(tmp_path / "base")
    options = ModelConfig(str(base), use_backbone_lora=3, use_llm_lora=4, lora_alpha=5, freeze_mlp=True)
    trained, folder = export(tmp_path, options)
    model = load_model(base)
    other = "language_model" if part == "vision_model" else "vision_model"
    setattr(model, other, deepcopy(getattr(load_model(folder), other)))
    wrapped = PeftModel.from_pretrained(getattr(model, part), folder / "adapters" / part)
    expected = compute_logits(trained)
    setattr(model, part, wrapped.base_model.model)
    torch.testing.assert_close(compute_logits(model), expected, atol=1e-5, rtol=1e-5)
    merged = dict(wrapped.merge_and_unload().named_parameters())
    exported = dict(getattr(load_model(folder), part).named_parameters())
    assert merged.keys() == exported.keys()
    for name, parameter in merged.items():
        torch.testing.assert_close(exported[name], parameter, atol=1e-6, rtol=1e-6)


def test_peft_learns_what_the_adapters_are(tmp_path):
    base = tiny_checkpoint(tmp_path / "base")
    options = ModelConfig(str(base), use_llm_lora=4, lora_alpha=5, lora_dropout=0.25)
    _, folder = export(tmp_path, options)
    settings = json.loads((folder / "adapters" / "language_model" / "adapter_config.json").read_text())
    assert (settings["peft_type"], settings["r"], settings["lora_alpha"], settings["lora_dropout"]) == (
        "LORA",
        4,
        5,
        0.25,
    )
    assert sorted(name.split(".")[-1] for name in settings["target_modules"]) == sorted(
        ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    )
    assert [path.name for path in (folder / "adapters").iterdir()] == ["language_model"]


def test_without_adapters_there_is_no_folder_of_them(tmp_path):
    _, folder = export(tmp_path, ModelConfig(str(tiny_checkpoint(tmp_path / "base"))))
    assert not (folder / "adapters").exists()


def test_frozen_weights_are_the_bytes_of_the_base(tmp_path):
    base = tiny_checkpoint(tmp_path / "base")
    _, folder = export(tmp_path, ModelConfig(str(base), freeze_llm=True, use_backbone_lora=2))
    before, after = (dict(load_model(path).named_parameters()) for path in (base, folder))
    changed = {name for name, parameter in after.items() if not torch.equal(parameter, before[name])}
    targets = ("attn.qkv.weight", "attn.proj.weight", "mlp.fc1.weight", "mlp.fc2.weight")
    assert changed == {name for name in before if name.startswith("mlp1") or name.endswith(targets)}


@pytest.mark.parametrize("adapters", [0, 4])
def test_bfloat16_is_the_rounded_float32(adapters, tmp_path):
    options = ModelConfig(str(tiny_checkpoint(tmp_path / "base")), use_llm_lora=adapters)
    _, full = export(tmp_path / "full", options)
    _, half = export(tmp_path / "half", options, torch.bfloat16)
    expected = dict(load_model(full).named_parameters())
    for name, parameter in load_model(half, dtype=torch.bfloat16).named_parameters():
        assert torch.equal(parameter, expected[name].bfloat16())
    sizes = [sum(path.stat().st_size for path in weight_files(folder)) for folder in (full, half)]
    assert sizes[1] < 0.55 * sizes[0]
    assert json.loads((half / "config.json").read_text())["dtype"] == "bfloat16"


@pytest.mark.parametrize("options", [{}, {"freeze_llm": True, "unfreeze_lm_head": True}])
def test_a_tied_head_stays_tied(options, tmp_path):
    base = tiny_checkpoint(tmp_path / "base", llm_config={"tie_word_embeddings": True}, tie_word_embeddings=True)
    trained, folder = export(tmp_path, ModelConfig(str(base), **options))
    exported = load_model(folder)
    assert exported.language_model.lm_head.weight is exported.language_model.model.embed_tokens.weight
    torch.testing.assert_close(compute_logits(exported), compute_logits(trained), atol=1e-5, rtol=1e-5)
    assert not torch.equal(exported.language_model.lm_head.weight, load_model(base).language_model.lm_head.weight)


def test_the_configuration_says_nothing_of_the_training(tmp_path):
    options = ModelConfig(str(tiny_checkpoint(tmp_path / "base")))
    model, state, base = train(tmp_path, options)
    model.config.vision_config.drop_path_rate = 0.4
    before = model.config.to_dict()
    export_model(
        tmp_path / "export",
        SavedState(state),
        base,
        model.config,
        tiny_processor(model.config),
        options,
        torch.bfloat16,
    )
    assert model.config.to_dict() == before
    assert json.loads((tmp_path / "export" / "config.json").read_text())["vision_config"]["drop_path_rate"] == 0.0


def test_a_checkpoint_with_a_gap_leaves_the_export_that_was_there(tmp_path):
    options = ModelConfig(str(tiny_checkpoint(tmp_path / "base")))
    model, folder = export(tmp_path, options)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    for path in (tmp_path / "step-1").glob("part-*"):
        path.unlink()
    _, base = open_checkpoint(tmp_path / "base")
    with pytest.raises(InputError, match="expected each element"):
        export_model(
            folder,
            SavedState(tmp_path / "step-1"),
            base,
            model.config,
            tiny_processor(model.config),
            options,
            torch.float32,
        )
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert not list(tmp_path.glob(".*"))
