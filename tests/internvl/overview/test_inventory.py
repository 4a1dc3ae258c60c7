"""Counting what a folder holds: parts, tensors that do not fit, files that nothing reads."""

from __future__ import annotations

import torch

from internvl.errors import InputError
from internvl.model.tensors import TensorDict
from internvl.overview.inventory import (
    Accounts,
    attempt,
    compare,
    count_parameters,
    count_parts,
    explain,
    list_unused,
    measure,
)


def test_tensors_are_counted_by_part_whatever_the_layout_is():
    state = {
        "language_model.lm_head.weight": torch.zeros(4, 3, dtype=torch.bfloat16),
        "language_model.model.norm.weight": torch.zeros(3),
        "vision_model.embeddings.class_embedding": torch.zeros(1, 1, 2),
        "mlp1.0.weight": torch.zeros(8),
    }
    tower, projector, language = count_parts(TensorDict(state))
    assert (tower.name, tower.tensors, tower.parameters, tower.bytes) == ("vision tower", 1, 2, 8)
    assert (projector.name, projector.dtypes) == ("projector", ("float32",))
    assert (language.parameters, language.dtypes, language.bytes) == (15, ("bfloat16", "float32"), 24 + 12)
    native = {
        "model.vision_tower.embeddings.cls_token": torch.zeros(2),
        "model.multi_modal_projector.linear_1.bias": torch.zeros(3),
        "model.language_model.norm.weight": torch.zeros(3),
        "lm_head.weight": torch.zeros(2, 2),
    }
    assert [(part.name, part.parameters) for part in count_parts(TensorDict(native))] == [
        ("vision tower", 2),
        ("projector", 3),
        ("language model", 7),
    ]
    assert [part.name for part in count_parts(TensorDict({"other.weight": torch.zeros(1)}))] == ["other"]


def test_a_model_without_weights_is_counted_without_types():
    (part,) = count_parameters(torch.nn.ModuleDict({"mlp1": torch.nn.Linear(2, 3, device="meta")}))
    assert (part.tensors, part.parameters, part.dtypes, part.bytes) == (2, 9, (), None)


def test_accounts_are_strict_both_ways():
    model = torch.nn.Linear(2, 3)
    right = compare(model, TensorDict(dict(model.named_parameters())), 2, ())
    assert right.are_right
    assert explain(right) == []
    wrong = compare(model, TensorDict({"weight": torch.zeros(2, 2), "scale": torch.zeros(1)}), 3, ("a.inv_freq",))
    assert wrong == Accounts(3, ("a.inv_freq",), ("bias",), ("scale",), ("weight [2, 2] for [3, 2]",))
    assert explain(wrong) == [
        "tensors: 1 missing (bias)",
        "tensors: 1 unexpected (scale)",
        "tensors: 1 of another shape than the model's (weight [2, 2] for [3, 2])",
    ]


def test_an_error_becomes_one_problem():
    def refuse() -> int:
        raise InputError("config.json: expected more, got less; add it")

    problems: list[str] = []
    assert attempt(problems, lambda: 3) == 3
    assert attempt(problems, refuse) is None
    assert attempt(problems, refuse) is None
    assert attempt(problems, lambda: {}["key"]) is None
    assert problems == ["config.json: expected more, got less; add it", "KeyError: 'key'"]


def test_files_that_nothing_reads_are_named_by_their_reason(tmp_path):
    read = {
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "merges.txt",
        "README.md",
        "generation_config.json",
        "model.safetensors.index.json",
    }
    lost = {"modeling_internvl_chat.py", "pytorch_model.bin", "trainer_state.json", "examples.txt"}
    for name in read | lost:
        (tmp_path / name).write_bytes(b"12")
    (tmp_path / "global_step10").mkdir()
    assert list_unused(tmp_path, {"model.safetensors"}) == {
        "remote code, never run": ("modeling_internvl_chat.py",),
        "weights beside those that are read": ("pytorch_model.bin",),
        "the state of another trainer": ("global_step10/", "trainer_state.json"),
        "not needed": ("examples.txt",),
    }
    assert measure(tmp_path) == 2 * len(read | lost)
    assert measure(tmp_path / "config.json") == 2
