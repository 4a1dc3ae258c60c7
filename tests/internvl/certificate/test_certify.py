"""Certificates: they hold for the same model in another layout, and for nothing else."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from internvl.assemble import assemble
from internvl.certificate import probe
from internvl.certificate.certify import Certificate, certify
from internvl.certificate.file import check_certificate
from internvl.errors import InputError
from internvl.model import load_model
from internvl.model.checkpoint import save_checkpoint
from internvl.processor import InternVLProcessor
from tests.tiny import tiny_checkpoint
from tests.tiny_native import vary_parameters, write_native
from tests.tiny_parts import write_parts
from tests.tiny_wrapped import RANK, WEIGHTS, change_config, wrap_checkpoint, write_wrapped_internlm2

# A call of peft's own.
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated")

LAYER = "language_model.model.layers.0.self_attn."
VISION = "vision_model.encoder.layers.0.attn."


@pytest.fixture(autouse=True)
def few_probes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several tiles, a picture that is resized, and words."""
    monkeypatch.setattr(probe, "PROBES", probe.PROBES[1:6:2])


@pytest.fixture(scope="module")
def chat(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tiny_checkpoint(tmp_path_factory.mktemp("chat"), "qwen2", dynamic_image_size=True, use_thumbnail=True)
    model = load_model(folder)
    vary_parameters(model)
    return save_checkpoint(folder, model, InternVLProcessor.from_pretrained(folder))


@pytest.fixture
def copy(chat: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(chat, tmp_path / "copy"))


def save_as(folder: Path, source: Path, dtype: torch.dtype) -> Path:
    return save_checkpoint(folder, load_model(source, dtype=dtype), InternVLProcessor.from_pretrained(source))


def change_weights(folder: Path, change: Callable[[dict[str, Tensor]], None]) -> None:
    state = load_file(folder / WEIGHTS)
    change(state)
    save_file(state, folder / WEIGHTS, metadata={"format": "pt"})


def convert(source: Path, output: Path, **options: Any) -> Certificate:
    return certify("convert", source=source, output=output, **options)


def test_transformers_own_layout_holds_both_ways(chat, tmp_path):
    (tmp_path / "native").mkdir()
    write_native(tmp_path / "native", load_model(chat), InternVLProcessor.from_pretrained(chat))
    there = convert(chat, tmp_path / "native", options={"to": "transformers", "dtype": None})
    assert there.reasons == ()
    assert there.describe().startswith("certified: same prompts 3/3, same greedy texts 3/3, logits differ by ")
    assert there.values["computed"]["source"] != there.values["computed"]["output"]
    assert there.values["steps"] == ["from the layout of internvl_chat to that of transformers"]
    assert there.values["accounting"]["every_number_is_kept"] is True
    # Two blocks, whose fused weights are three tensors there.
    tensors = [there.values["accounting"][side]["tensors"] for side in ("source", "output")]
    assert tensors[1] - tensors[0] == 4
    assert there.values["probe"]["max_logit_difference_relative"] < 1e-5
    back = convert(tmp_path / "native", save_as(tmp_path / "back", tmp_path / "native", torch.float32))
    assert back.reasons == ()
    assert back.values["computed"]["source"] == there.values["computed"]["output"]


def test_what_is_written_can_be_read_again(chat, copy):
    certificate = convert(chat, copy, options={"dtype": torch.bfloat16, "output": copy}, steps=["copied"])
    assert certificate.holds
    written = json.loads((copy / "certificate.json").read_text())
    assert written == certificate.values
    assert written["options"] == {"dtype": "bfloat16", "output": str(copy)}
    assert written["steps"] == ["copied"]
    assert written["versions"]["torch"]
    assert written["source"]["source"]["path"] == str(chat)
    assert written["source"]["source"]["files"] == written["output"]["files"]
    assert written["output"]["files"].keys() >= {WEIGHTS, "config.json", "tokenizer.json"}
    assert written["probe"]["distinct_texts"] == 3
    assert check_certificate(copy, hashes=True).holds
    change_weights(copy, lambda state: state["mlp1.0.bias"].add_(1))
    assert check_certificate(copy).holds
    assert not check_certificate(copy, hashes=True).holds


def swap_queries_and_keys(state: dict[str, Tensor]) -> None:
    width = state[VISION + "qkv.weight"].shape[1]
    state[VISION + "qkv.weight"][: 2 * width] = state[VISION + "qkv.weight"][: 2 * width].roll(width, 0)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (swap_queries_and_keys, ["other logits for 2 of 3"]),
        (lambda state: state[VISION + "q_norm.weight"].fill_(1), ["other logits for 2 of 3", "the stored numbers"]),
        (lambda state: state["language_model.lm_head.weight"][7].add_(0.1), ["other logits", "the stored numbers"]),
        (lambda state: state["mlp1.1.weight"].view(-1)[3:4].add_(1e-3), ["the stored numbers"]),
    ],
    ids=["swapped", "norm reset", "row changed", "one number"],
)
def test_changed_weights_show(change, words, chat, copy):
    change_weights(copy, change)
    certificate = convert(chat, copy)
    assert not certificate.holds
    for word in words:
        assert any(reason.startswith(word) for reason in certificate.reasons), certificate.reasons
    assert not check_certificate(copy).holds
    assert certificate.describe().startswith("the certificate does not hold: ")
    # Moved numbers are still there, so it is not the sum alone that finds mistakes.
    assert certificate.values["accounting"]["every_number_is_kept"] is ("the stored numbers" not in words)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"ps_version": "v1"}, ["other logits for 2 of 3", "other greedy texts for 2 of 3"]),
        ({"system_message": "Be brief."}, ["other ids in the prompts for 3 of 3"]),
        ({"use_thumbnail": False}, ["other ids in the prompts for 2 of 3", "other pixels for 2 of 3"]),
        ({"normalize_type": "clip"}, ["other pixels for 2 of 3"]),
    ],
    ids=["shuffle", "system text", "tiling", "colours"],
)
def test_changed_options_show(values, words, chat, copy):
    change_config(copy, **values)
    reasons = convert(chat, copy).reasons
    assert len(reasons) == len(words)
    assert all(reason.startswith(word) for reason, word in zip(reasons, words, strict=True)), reasons


def test_known_differences_are_told_and_not_judged(chat, copy):
    change_config(copy, use_thumbnail=False, system_message="Be brief.")
    known = {"prompts": "it has no thumbnails", "pixels": "it has no thumbnails"}
    certificate = convert(chat, copy, known=known)
    assert certificate.reasons == ()
    assert certificate.values["known_differences"] == known
    assert certificate.values["probe"]["same_prompts"] == "0/3"
    # The weights are judged all the same.
    change_weights(copy, swap_queries_and_keys)
    assert convert(chat, copy, known=known).reasons[0].startswith("other logits for 2 of 3")


def test_a_coarse_type_still_tells_models_apart(chat, copy):
    certificate = convert(chat, copy, dtype=torch.bfloat16, device="cpu")
    assert certificate.holds
    assert certificate.describe().endswith("(bfloat16 on cpu)")
    change_weights(copy, swap_queries_and_keys)
    assert convert(chat, copy, dtype=torch.bfloat16).reasons[0].startswith("other logits for 2 of 3")


def test_a_cut_off_output_does_not_hold(chat, copy):
    (copy / WEIGHTS).write_bytes((copy / WEIGHTS).read_bytes()[:-100])
    (reason,) = convert(chat, copy).reasons
    assert reason.startswith("the written folder cannot be used: ")
    assert not check_certificate(copy).holds


def test_one_text_for_everything_proves_little(copy):
    change_weights(copy, lambda state: state["language_model.lm_head.weight"].zero_())
    certificate = convert(copy, Path(shutil.copytree(copy, copy.with_name("other"))))
    assert certificate.values["probe"]["distinct_texts"] == 1
    assert certificate.describe().endswith("all texts are the same one, which proves little")


def test_what_is_no_number_is_no_proof(copy):
    change_weights(copy, lambda state: state["language_model.lm_head.weight"].fill_(float("nan")))
    certificate = convert(copy, Path(shutil.copytree(copy, copy.with_name("other"))))
    assert certificate.reasons == (
        "other logits for 3 of 3 probes (several tiles, tall picture, Chinese), of other shapes or no numbers",
    )
    assert check_certificate(copy.with_name("other")).reasons[1:] == certificate.reasons


def test_a_broken_source_is_the_mistake_of_the_user(chat, copy):
    (copy / WEIGHTS).write_bytes(b"")
    with pytest.raises(InputError, match="expected readable weights"):
        convert(copy, chat)


def test_another_type_is_told_and_not_judged(chat, tmp_path):
    certificate = convert(chat, save_as(tmp_path / "half", chat, torch.bfloat16))
    assert certificate.reasons == ()
    assert certificate.values["probe"]["max_logit_difference"] < 1e-4
    assert certificate.values["rounding"]["max_logit_difference"] > 1e-3
    assert certificate.values["steps"] == ["rounded from float32 to bfloat16"]
    assert certificate.values["accounting"]["every_number_is_kept"] is None
    # Numbers that were rounded and then changed are not the model any more.
    change_weights(tmp_path / "half", lambda state: state[LAYER + "o_proj.weight"].mul_(1.01))
    assert not convert(chat, tmp_path / "half").holds


def test_merged_adapters_are_those_that_peft_merges(tmp_path):
    dtype = torch.bfloat16
    source = wrap_checkpoint(tiny_checkpoint(tmp_path / "lora"), "vision_model", "language_model", dtype=dtype)
    output = save_as(tmp_path / "merged", source, dtype)
    certificate = convert(source, output)
    assert certificate.reasons == ()
    assert certificate.values["computed"]["source"] == "internvl.model, adapters merged by peft"
    assert certificate.values["steps"] == ["adapters merged"]
    assert certificate.values["rounding"]["max_logit_difference"] > 1e-3
    # Written in a finer type, the layers still have the numbers that their own type has.
    finer = convert(source, save_as(tmp_path / "finer", source, torch.float32))
    assert finer.reasons == ()
    assert finer.values["steps"] == ["adapters merged", "rounded from bfloat16 to float32"]
    # A part whose adapters are lost.
    state = load_file(source / WEIGHTS)
    long, name = (
        f"{LAYER}q_proj.base_layer.weight".replace(".model", ".base_model.model.model", 1),
        f"{LAYER}q_proj.weight",
    )
    change_weights(output, lambda written: written.update({name: state[long].clone()}))
    assert convert(source, output).reasons[0].startswith("other logits for 3 of 3")


def test_merged_adapters_of_an_internlm2(tmp_path):
    _, source = write_wrapped_internlm2(tmp_path)
    certificate = convert(source, save_as(tmp_path / "merged", source, torch.float32))
    assert certificate.reasons == ()
    assert certificate.values["steps"] == ["adapters merged", "InternLM2 regrouped as a Llama"]
    # Nothing was rounded: merged or not, it is the same model.
    assert certificate.values["rounding"]["max_logit_difference"] < 1e-4
    change_config(source, use_llm_lora=RANK + 1)
    with pytest.raises(InputError, match="use_llm_lora"):
        convert(source, tmp_path / "merged")


def test_an_assembled_checkpoint_is_its_parts(tmp_path):
    parts = write_parts(tmp_path)
    output = assemble(tmp_path / "chat", **parts, force_image_size=84)
    certificate = certify("assemble", source=parts, output=output)
    assert certificate.reasons == ()
    accounting = certificate.values["accounting"]
    assert accounting["every_number_is_kept"] is True
    assert accounting["new_or_of_another_size"] == ["embeddings.position_embedding"]
    assert accounting["compared_in_first_rows"]["lm_head.weight"] == 259
    assert certificate.values["source"]["mlp_path"]["files"].keys() == {"mlp_projector.pth"}
    # Words are compared one by one, whether a probe has them or not.
    change_weights(output, lambda state: state["language_model.model.embed_tokens.weight"][9].add_(1e-3))
    reasons = certify("assemble", source=parts, output=output).reasons
    assert reasons[-1].startswith("the stored numbers are not those of the source (")
