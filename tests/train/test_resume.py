"""Where a run goes on, and what it must have in common with the run before."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from internvl.errors import InputError, MissingError
from tests.tiny import tiny_checkpoint
from tests.tiny_run import FinishedRun, read_scalars, run_here, train_here
from train.config import FinetuneConfig, ModelConfig, OptimConfig
from train.record import add_start, describe_start
from train.resume import check_same, describe_run, find_start, name_weights
from train.state import SavedState, save_state


def write_state(folder: Path, step: int) -> Path:
    path = folder / "checkpoints" / f"step-{step}"
    save_state(path, [], {"global_step": step}, {}, rank=0, barrier=lambda: None)
    return path


def start(folder: Path, **options: Any) -> Path | None:
    return find_start(FinetuneConfig(output_dir=str(folder), **options))


def test_a_new_or_empty_folder_or_one_of_a_run_begins_anew(tmp_path):
    assert start(tmp_path / "new") is None
    assert start(tmp_path) is None
    for name in ("config.yaml", "bad_samples.jsonl"):
        (tmp_path / name).touch()
    assert start(tmp_path) is None


def test_the_last_checkpoint_is_taken(tmp_path):
    for step in (9, 100, 20):
        write_state(tmp_path, step)
    (tmp_path / "checkpoints" / "step-300").mkdir()
    assert start(tmp_path) == tmp_path / "checkpoints" / "step-100"
    assert start(tmp_path, overwrite=True) is None


def test_a_folder_of_something_else_is_refused(tmp_path):
    for name in ("thesis.tex", "a", "b", "c"):
        (tmp_path / name).touch()
    with pytest.raises(InputError, match=r"^output_dir: expected a new folder .* got .* with a, b, c in it; choose an"):
        start(tmp_path)
    assert start(tmp_path, overwrite=True) is None


def test_a_named_checkpoint_wins(tmp_path):
    named = write_state(tmp_path / "other", 7)
    assert start(tmp_path / "run", resume_from=str(named)) == named
    write_state(tmp_path / "run", 5)
    assert start(tmp_path / "run", resume_from=str(named)) == named
    own = write_state(tmp_path / "run", 7)
    assert start(tmp_path / "run", resume_from=str(own)) == own
    assert start(tmp_path / "run", resume_from=str(named), overwrite=True) == named


def test_a_named_checkpoint_before_others_of_the_folder_is_refused(tmp_path):
    named = write_state(tmp_path / "run", 5)
    for step in (6, 8):
        write_state(tmp_path / "run", step)
    with pytest.raises(
        InputError, match=r"^resume_from: expected no later checkpoint in .*/run, got step-8; give anoth"
    ):
        start(tmp_path / "run", resume_from=str(named))


@pytest.mark.parametrize("name", ["none", "other/checkpoints", "file"])
def test_a_named_folder_that_is_none_is_refused(name, tmp_path):
    write_state(tmp_path / "other", 7)
    (tmp_path / "file").touch()
    with pytest.raises(MissingError, match=r"^resume_from: expected a training checkpoint, got .*; name a folder like"):
        start(tmp_path / "run", resume_from=str(tmp_path / name))


def test_a_named_checkpoint_that_is_damaged_is_refused_in_one_line(tmp_path):
    named = write_state(tmp_path / "other", 7)
    (named / "checkpoint.json").write_text("{")
    write_state(tmp_path / "run", 5)
    with pytest.raises(InputError, match=r"^checkpoint: expected a whole training checkpoint in [^\n]*$"):
        start(tmp_path / "run", resume_from=str(named))


def test_the_same_command_goes_on_after_it_began_with_a_checkpoint_of_another_run(tmp_path):
    named, folder = write_state(tmp_path / "other", 7), tmp_path / "run"
    own = write_state(folder, 9)
    with pytest.raises(InputError, match="expected no later checkpoint"):
        start(folder, resume_from=str(named))
    add_start(folder, describe_start(["train"], world=1, nodes=1, devices=[], resumed_from=named))
    assert start(folder, resume_from=str(named)) == own
    # One of its own that is named again is a wish to go back, which is not done in the same folder.
    earlier = write_state(folder, 8)
    add_start(folder, describe_start(["train"], world=1, nodes=1, devices=[], resumed_from=earlier))
    with pytest.raises(InputError, match="expected no later checkpoint"):
        start(folder, resume_from=str(earlier))


FREE = {
    "output_dir": "other",
    "max_steps": 7,
    "devices": 8,
    "nodes": 2,
    "strategy": "zero3",
    "offload": "all",
    "save_steps": 1,
    "save_total_limit": 2,
    "log_steps": 5,
    "per_device_batch_size": 2,
    "export_dtype": "bfloat16",
    "dry_run": True,
    "resume_from": "there",
    "overwrite": True,
}


def describe(config: FinetuneConfig, **keys: Any) -> dict[str, Any]:
    return describe_run(config, **{"weights": "w", "precision": "32-true", "num_steps": 9, **keys})


def test_what_only_says_where_it_runs_may_be_another():
    assert check_same(describe(FinetuneConfig()), describe(FinetuneConfig(**FREE)), accept=False) == []


@pytest.mark.parametrize(
    ("part", "name", "value"),
    [
        ("optim", "learning_rate", 1e-4),
        ("optim", "betas", (0.9, 0.95)),
        ("optim", "decay", "matrices"),
        ("data", "max_seq_length", 100),
        ("data", "loss_reduction", "square"),
        ("data", "max_dynamic_patch", 3),
        ("model", "drop_path_rate", 0.1),
        ("model", "lora_dropout", 0.1),
    ],
)
def test_what_changes_learning_is_named_unless_it_is_accepted(part, name, value):
    config = FinetuneConfig()
    other = replace(config, **{part: replace(getattr(config, part), **{name: value})})
    before = json.loads(json.dumps(describe(config)))  # as from a file
    stored, given = before[f"{part}.{name}"], list(value) if isinstance(value, tuple) else value
    with pytest.raises(InputError) as caught:
        check_same(before, describe(other), accept=False)
    change = f"{part}.{name} {stored}, got {given}"
    assert str(caught.value).startswith(f"resume: expected the options of the checkpoint, {change}; restore them, ")
    assert check_same(before, describe(other), accept=True) == [change]


@pytest.mark.parametrize(("name", "value"), [("weights", "v"), ("precision", "bf16-mixed"), ("num_steps", 8)])
def test_other_weights_precision_and_length_are_named(name, value):
    config = FinetuneConfig()
    with pytest.raises(InputError, match=f"{name.removeprefix('num_')} .*, got {value}; restore them"):
        check_same(describe(config), describe(config, **{name: value}), accept=False)


def test_an_option_that_one_of_both_does_not_know_is_a_change():
    assert check_same({"a": 1}, {"b": 2}, accept=True) == ["a 1, got None", "b None, got 2"]


TRAINED = {
    "freeze_backbone": True,
    "freeze_mlp": True,
    "freeze_llm": True,
    "unfreeze_vit_layers": -1,
    "unfreeze_lm_head": True,
    "use_backbone_lora": 4,
    "use_llm_lora": 4,
    "lora_alpha": 4,
    "vision_select_layer": -2,
}


@pytest.mark.parametrize("name", TRAINED)
@pytest.mark.parametrize("accept", [False, True])
def test_what_is_trained_cannot_become_something_else(name, accept):
    config = FinetuneConfig()
    other = replace(config, model=ModelConfig(**{name: TRAINED[name]}))
    with pytest.raises(InputError, match=rf"^resume: expected .*model\.{name} .*, got {TRAINED[name]}; restore"):
        check_same(describe(config), describe(other), accept=accept)


def test_every_option_is_either_described_or_free():
    """A new option is part of what must stay the same until somebody decides otherwise."""
    described = describe(FinetuneConfig())
    for part, config in (("model", ModelConfig()), ("optim", OptimConfig())):
        for name in asdict(config):
            is_free = f"{part}.{name}" not in described
            assert not (is_free and part == "optim"), name
    assert "eval.every_steps" not in described
    assert "seed" not in described  # of the data module


def test_weights_are_named_by_their_configuration_and_sizes(tmp_path):
    one = tiny_checkpoint(tmp_path / "one")
    two = Path(shutil.copytree(one, tmp_path / "two"))
    assert name_weights(one) == name_weights(two)
    (two / "notes.txt").touch()
    assert name_weights(one) == name_weights(two)
    with (two / "model.safetensors").open("ab") as file:
        file.write(b"more")
    assert name_weights(one) != name_weights(two)
    assert name_weights(one) != name_weights(tiny_checkpoint(tmp_path / "three", select_layer=-2))


def go_on(run: FinishedRun, folder: Path, *words: str) -> Any:
    (folder / "checkpoints").mkdir(parents=True)
    shutil.copytree(run.folder / "checkpoints" / "step-10", folder / "checkpoints" / "step-10")
    return run_here([*run.arguments, f"--output_dir={folder}", *words])


def test_a_run_with_another_learning_rate_goes_on_only_if_that_is_accepted(finished_run, tmp_path):
    words = "--optim.learning_rate=1e-3", "--save_steps=5"
    done = go_on(finished_run, tmp_path / "no", *words)
    assert (done.code, done.errors.count("\n")) == (2, 1)
    assert "optim.learning_rate 0.003, got 0.001" in done.errors
    done = go_on(finished_run, tmp_path / "yes", *words, "--accept_changes=true")
    assert done.code == 0, done.errors
    assert "changed: optim.learning_rate 0.003, got 0.001\n" in done.output
    whole, rest = (read_scalars(folder)["train/learning_rate"] for folder in (finished_run.folder, tmp_path / "yes"))
    assert rest == pytest.approx({step: whole[step] / 3 for step in range(10, 30)})
    weights = [SavedState(folder / "checkpoints" / "step-30") for folder in (tmp_path / "yes", finished_run.folder)]
    assert not torch.equal(*(state.read("mlp1.0.weight") for state in weights))


def test_a_run_begun_with_a_named_checkpoint_goes_on_with_the_same_command(finished_run, tmp_path):
    named = finished_run.folder / "checkpoints" / "step-10"
    words = [f"--resume_from={named}", f"--output_dir={tmp_path}"]
    output = train_here([*finished_run.arguments, *words])
    assert f"going on from {named}" in output
    shutil.rmtree(tmp_path / "checkpoints" / "step-30")
    assert f"going on from {tmp_path}/checkpoints/step-20" in train_here([*finished_run.arguments, *words])
    exports = [(folder / "export" / "model.safetensors").read_bytes() for folder in (tmp_path, finished_run.folder)]
    assert exports[0] == exports[1]


def test_a_damaged_checkpoint_ends_a_run_with_one_line(finished_run, tmp_path):
    (tmp_path / "checkpoints").mkdir()
    state = Path(shutil.copytree(finished_run.folder / "checkpoints" / "step-10", tmp_path / "checkpoints" / "step-10"))
    for path in state.glob("part-*"):
        path.write_bytes(path.read_bytes()[:100])
    done = run_here([*finished_run.arguments, f"--output_dir={tmp_path}"])
    assert (done.code, done.errors.count("\n")) == (2, 1)
    assert done.errors.startswith(f"error: checkpoint: expected a whole training checkpoint in {state}, got ")
