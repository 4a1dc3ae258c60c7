"""Parts by themselves and in the joined checkpoint: the same visual tokens, the same words."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from internvl.assemble import assemble
from internvl.certificate import probe
from internvl.certificate.comparison import Comparison, compare
from internvl.certificate.models import Precision
from internvl.certificate.parts import answer_joined, answer_parts, count_shared, list_changed
from tests.tiny_parts import WEIGHTS, turn_into_internlm2, write_language, write_parts
from tests.tiny_wrapped import change_config

HERE = Precision(torch.float32, torch.device("cpu"))


@pytest.fixture(autouse=True)
def few_probes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several tiles, a picture that is resized, and words."""
    monkeypatch.setattr(probe, "PROBES", probe.PROBES[1:6:2])


@pytest.fixture
def parts(tmp_path: Path) -> dict[str, Path]:
    return write_parts(tmp_path)


def compare_parts(parts: dict[str, Path], joined: Path) -> Comparison:
    return compare(answer_parts(parts, joined, HERE), answer_joined(parts, joined, HERE))


def test_they_say_the_same(parts, tmp_path):
    joined = assemble(tmp_path / "chat", **parts, dynamic_image_size=True, use_thumbnail=True, select_layer=-2)
    comparison = compare_parts(parts, joined)
    assert comparison.reasons == ()
    assert (comparison.same_prompts, comparison.same_texts, comparison.num_distinct) == ("3/3", "1/1", 1)
    assert list_changed(parts, joined).keys() >= {"lm_head.weight", "model.embed_tokens.weight"}


def test_larger_tiles_are_what_the_tower_makes_of_them(parts, tmp_path):
    turn_into_internlm2(parts["llm_path"])
    del parts["mlp_path"]
    joined = assemble(tmp_path / "chat", **parts, force_image_size=84)
    comparison = compare_parts(parts, joined)
    assert comparison.reasons == ()
    assert answer_joined(parts, joined, HERE).answers[0].values.shape == (9, 48)
    rows = list_changed(parts, joined)
    assert rows["embeddings.position_embedding"] == rows["mlp1.1.weight"] == 0
    assert rows["output.weight"] == count_shared(parts["llm_path"]) == 259


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("vision_model.encoder.layers.0.attn.qkv.weight", "other logits for 2 of 3 probes (several tiles"),
        ("mlp1.1.bias", "other logits for 2 of 3 probes (several tiles"),
        ("language_model.model.layers.1.self_attn.k_proj.weight", "other logits for 1 of 3 probes (Chinese"),
    ],
)
def test_a_changed_part_shows(name, words, parts, tmp_path):
    joined = assemble(tmp_path / "chat", **parts)
    state = load_file(joined / WEIGHTS)
    state[name][0] += 1.0
    save_file(state, joined / WEIGHTS, metadata={"format": "pt"})
    assert compare_parts(parts, joined).reasons[0].startswith(words)


def test_another_use_of_the_parts_shows(parts, tmp_path):
    one, other = (assemble(tmp_path / version, **parts, ps_version=version) for version in ("v1", "v2"))
    comparison = compare(answer_parts(parts, one, HERE), answer_joined(parts, other, HERE))
    assert comparison.reasons[0].startswith("other logits for 2 of 3")


def test_rows_of_no_word_do_not_count(parts, tmp_path):
    folder = write_language(tmp_path / "padded", padding=40)
    assert count_shared(folder) == 259
    change_config(folder, vocab_size=200)
    assert count_shared(folder) == 200
    parts["llm_path"] = write_language(tmp_path / "again", padding=40)
    assert compare_parts(parts, assemble(tmp_path / "chat", **parts)).reasons == ()
