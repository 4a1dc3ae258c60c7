"""Every published family of language models: as a part of a chat checkpoint it computes what transformers computes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import AutoModelForCausalLM

from internvl.assemble import assemble
from internvl.errors import InputError
from internvl.model import load_model
from internvl.model.checkpoint import save_checkpoint
from internvl.processor import InternVLProcessor
from tests.tiny_parts import WEIGHTS, turn_into_internlm2, write_language, write_projector, write_vision

KINDS = ("llama", "internlm2", "internlm3", "qwen2", "qwen3", "qwen3_moe", "phi3")


def write_kind(folder: Path, kind: str, **changes: object) -> Path:
    """A folder as its publisher has it; transformers has InternLM2 and InternLM3 as Llama."""
    write_language(folder, "llama" if kind.startswith("internlm") else kind, **changes)
    if kind == "internlm2":
        turn_into_internlm2(folder)
    if kind == "internlm3":
        config = folder / "config.json"
        text = config.read_text().replace("LlamaForCausalLM", "InternLM3ForCausalLM")
        config.write_text(
            text.replace('"model_type": "llama"', '"model_type": "internlm3", "bias": false, "qkv_bias": false')
        )
    return folder


def answer(model: torch.nn.Module, ids: Tensor) -> Tensor:
    with torch.no_grad():
        logits: Tensor = model(input_ids=ids).logits
    return logits


@pytest.mark.parametrize("kind", KINDS)
def test_a_language_model_computes_the_same_as_by_itself(kind, tmp_path):
    language = write_kind(tmp_path / "language", kind)
    plain = language if not kind.startswith("internlm") else write_language(tmp_path / "plain")
    ids = torch.randint(0, 250, (2, 9), generator=torch.Generator().manual_seed(0))
    expected = answer(AutoModelForCausalLM.from_pretrained(plain, dtype=torch.float32).eval(), ids)
    parts = {"vision_path": write_vision(tmp_path / "vision"), "mlp_path": write_projector(tmp_path / "projector.pth")}
    chat = assemble(tmp_path / "chat", llm_path=language, **parts)
    ours = load_model(chat)
    logits = answer(ours.language_model, ids)
    assert expected.std() > 0.05
    torch.testing.assert_close(logits[..., : expected.shape[-1]], expected, rtol=1e-5, atol=1e-5)
    # What is stored is what is published: saved once more, the file has the same names and bytes.
    again = save_checkpoint(tmp_path / "again", ours, InternVLProcessor.from_pretrained(chat))
    stored, rewritten = load_file(chat / WEIGHTS), load_file(again / WEIGHTS)
    assert stored.keys() == rewritten.keys()
    assert all(torch.equal(stored[name], rewritten[name]) for name in stored)
    if kind == "qwen3_moe":
        assert "language_model.model.layers.1.mlp.experts.2.down_proj.weight" in stored


def test_an_internlm3_that_is_no_llama_is_refused(tmp_path):
    language = write_kind(tmp_path / "language", "internlm3")
    config = language / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"qkv_bias": True}))
    parts = {"vision_path": write_vision(tmp_path / "vision"), "mlp_path": write_projector(tmp_path / "projector.pth")}
    with pytest.raises(InputError, match=r"expected `bias` and `qkv_bias` of an InternLM3 alike"):
        assemble(tmp_path / "chat", llm_path=language, **parts)


def test_a_lost_expert_is_named(tmp_path):
    language = write_kind(tmp_path / "language", "qwen3_moe")
    state = load_file(language / WEIGHTS)
    del state["model.layers.0.mlp.experts.1.up_proj.weight"]
    save_file(state, language / WEIGHTS, metadata={"format": "pt"})
    parts = {"vision_path": write_vision(tmp_path / "vision"), "mlp_path": write_projector(tmp_path / "projector.pth")}
    with pytest.raises(
        InputError, match=r"got 2 missing \(model.layers.0.mlp.experts.down_proj, .*8 unexpected \(model"
    ):
        assemble(tmp_path / "chat", llm_path=language, **parts)
