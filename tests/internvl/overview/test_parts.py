"""What is no chat checkpoint: parts, runs and adapters say what they are and where they go."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from internvl.errors import InputError
from internvl.overview.overview import make_overview
from tests.tiny import tiny_checkpoint
from tests.tiny_parts import WEIGHTS, turn_into_internlm2, write_language, write_projector, write_vision


def test_a_vision_tower(tmp_path):
    folder = write_vision(tmp_path / "tower")
    overview = make_overview(folder)
    assert (overview.kind, overview.is_usable) == ("vision tower", True)
    assert "2 layers of width 32" in overview.facts["vision tower"]
    assert overview.accounts.are_right
    assert f"--vision-path {folder}" in dict(overview.uses)["assemble"]
    state = load_file(folder / WEIGHTS)
    state.pop("encoder.layers.1.ls1")
    save_file(state, folder / WEIGHTS, metadata={"format": "pt"})
    overview = make_overview(folder)
    assert overview.problems == ("tensors: 1 missing (encoder.layers.1.ls1)",)
    assert (overview.uses, overview.is_usable) == ((), False)


@pytest.mark.parametrize("kind", ["llama", "internlm2"])
def test_a_language_model(kind, tmp_path):
    folder = write_language(tmp_path / "language")
    if kind == "internlm2":
        turn_into_internlm2(folder)
    overview = make_overview(folder)
    assert (overview.kind, overview.problems) == ("language model", ())
    assert "9 picture tokens are added when it is assembled" in overview.facts["tokenizer"]
    assert overview.accounts.are_right
    assert f"--llm-path {folder}" in dict(overview.uses)["assemble"]
    assert overview.parts[0].parameters == sum(tensor.numel() for tensor in load_file(folder / WEIGHTS).values())


def test_tied_words_are_counted_once(tmp_path):
    overview = make_overview(write_language(tmp_path / "language", "qwen2", tie_word_embeddings=True))
    assert overview.accounts.are_right
    assert "one matrix for words in and out" in overview.facts["language model"]


def test_a_broken_part_is_told(tmp_path):
    folder = write_language(tmp_path / "language")
    (folder / WEIGHTS).write_bytes(b"")
    overview = make_overview(folder)
    assert overview.kind == "language model"
    assert "readable weights" in overview.problems[0]


def test_another_kind_of_model(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "clip", "architectures": ["CLIPModel"]}))
    overview = make_overview(tmp_path)
    assert overview.kind == "another kind of model (CLIPModel)"
    assert not overview.is_usable
    assert "got 'clip'" in overview.problems[0]


@pytest.mark.parametrize("prefix", ["", "mlp1."])
def test_the_file_of_a_projector(prefix, tmp_path):
    path = write_projector(tmp_path / "mlp.pth", prefix=prefix, dtype=torch.bfloat16)
    overview = make_overview(path)
    assert (overview.kind, overview.is_usable) == ("projector", True)
    assert "a vision tower of width 32" in overview.facts["projector"]
    assert "a language model of width 48" in overview.facts["projector"]
    assert overview.parts[0].dtypes == ("bfloat16",)
    assert f"--mlp-path {path}" in dict(overview.uses)["assemble"]


def test_another_file(tmp_path):
    folder = tiny_checkpoint(tmp_path / "model")
    overview = make_overview(folder / WEIGHTS)
    assert (overview.kind, overview.is_usable) == ("file of tensors", False)
    assert overview.parts[0].dtypes == ("float32",)
    (tmp_path / "words.txt").write_text("words")
    with pytest.raises(InputError, match=r"^inspect: expected a folder or a file of tensors, got .*words.txt"):
        make_overview(tmp_path / "words.txt")


def test_a_training_run_and_its_states(tmp_path):
    (tmp_path / "config.yaml").write_text("model: {}\n")
    for step in (200, 1000):
        (tmp_path / "checkpoints" / f"step-{step}").mkdir(parents=True)
    overview = make_overview(tmp_path)
    assert overview.facts == {"checkpoints": "2, of the steps 200, 1000", "exported": "nothing yet"}
    assert dict(overview.uses) == {"export": f"python -m train.export {tmp_path} --step 1000"}
    assert not overview.is_usable
    tiny_checkpoint(tmp_path / "export")
    overview = make_overview(tmp_path)
    assert dict(overview.uses)["evaluate"] == f"sh evaluate.sh {tmp_path}/export <benchmark>"
    state = make_overview(tmp_path / "checkpoints" / "step-200")
    assert state.kind == "state of a training run"
    assert dict(state.uses) == {"export": f"python -m train.export {tmp_path} --step 200"}


def test_adapters_by_themselves(tmp_path):
    folder = tiny_checkpoint(tmp_path / "export") / "adapters" / "language_model"
    folder.mkdir(parents=True)
    values = {"r": 16, "lora_alpha": 32, "target_modules": ["v_proj", "q_proj"], "base_model_name_or_path": None}
    (folder / "adapter_config.json").write_text(json.dumps(values))
    save_file({"a.lora_A.weight": torch.ones(16, 2)}, folder / "adapter_model.safetensors")
    overview = make_overview(folder)
    assert (overview.kind, overview.is_usable) == ("LoRA adapters", False)
    assert overview.facts["adapters"] == "rank 16, alpha 32, on q_proj, v_proj"
    assert overview.parts[0].parameters == 32
    assert dict(overview.uses)["merged"] == f"{tmp_path / 'export'} is the model with them in it"
