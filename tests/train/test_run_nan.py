"""A run whose numbers are none any more: it stops before it learns from them, and names the step and its samples."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from internvl.model import InternVLChatModel
from internvl.tokenizer import read_tokenizer
from tests.tiny_run import Done, run_here, run_warm, train_here, write_arguments
from train.state import SavedState, find_states


def assert_named(done: Done, step: int, meta: Path) -> list[int]:
    """The message, and the lines that it names."""
    assert done.code == 2
    (message,) = [line for line in done.errors.splitlines() if line.startswith("error: ")]
    match = re.fullmatch(
        rf"error: (?:loss|gradient_norm): expected a number in step {step}, got (?:nan|inf)"
        r"(?: among the samples (.*?)(?: and \d+ more)?)?;"
        r" look at them, or lower the learning rate; the last checkpoint is good, .*",
        message,
    )
    assert match, message
    assert "Traceback" not in done.errors
    named = match[1].split(", ") if match[1] else []
    rows = json.loads(meta.read_text())["rows"]["annotation"]
    lines = [re.fullmatch(rf"{re.escape(rows)}:(\d+)", name) for name in named]
    assert all(lines), named
    return [int(line[1]) for line in lines if line]


def poison(folder: Path, name: str) -> None:
    """Write a value that is no number into a weight of a checkpoint."""
    path = folder / "model.safetensors"
    tensors = load_file(path)
    tensors[name][0] = torch.nan
    save_file(tensors, path, metadata={"format": "pt"})


def test_a_weight_that_is_no_number_stops_the_first_step(checkpoint, meta, tmp_path):
    base = Path(shutil.copytree(checkpoint, tmp_path / "base"))
    poison(base, "mlp1.0.weight")
    done = run_here(write_arguments(base, meta, tmp_path / "run"))
    assert len(set(assert_named(done, 1, meta))) == 4  # all of the step have a picture
    assert done.errors.count("\n") == 1
    assert find_states(tmp_path / "run" / "checkpoints") == []
    assert not (tmp_path / "run" / "export").exists()


def test_the_samples_that_it_is_from_are_named(checkpoint, meta, tmp_path, monkeypatch):
    vocabulary = read_tokenizer(checkpoint).get_vocab()
    sevens = torch.tensor([number for word, number in vocabulary.items() if word.endswith("7")])
    embed = InternVLChatModel.embed

    def poison_seven(model: InternVLChatModel, input_ids: torch.Tensor, *rest: object) -> torch.Tensor:
        embedded = embed(model, input_ids, *rest)  # type: ignore[arg-type]
        return embedded.masked_fill(torch.isin(input_ids, sevens)[..., None], torch.nan)

    monkeypatch.setattr(InternVLChatModel, "embed", poison_seven)
    # Every row is a batch of its own.
    options = {"data.packing": "false", "per_device_batch_size": 1, "batch_size": 20, "max_steps": 1}
    done = run_here(write_arguments(checkpoint, meta, tmp_path / "run", **options))
    assert sorted(assert_named(done, 1, meta)) == [8, 18]  # the lines of pictures 7 and 17
    assert "in step 1, got nan among the samples " in done.errors


def test_an_absurd_learning_rate_leaves_the_last_good_checkpoint(checkpoint, meta, tmp_path):
    options = {"max_steps": 12, "save_steps": 1, "optim.learning_rate": 1e30, "optim.warmup_steps": 3}
    done = run_here(write_arguments(checkpoint, meta, tmp_path, **options))
    assert done.code == 2, done.output
    step = int(re.search(r"in step (\d+)", done.errors)[1])  # type: ignore[index]
    assert_named(done, step, meta)
    ((saved, folder),) = find_states(tmp_path / "checkpoints")
    assert saved == step - 1
    state = SavedState(folder)
    assert all(bool(torch.isfinite(state.read(name)).all()) for name in state.shapes)


def test_the_same_command_with_a_lower_rate_goes_on(checkpoint, meta, tmp_path, monkeypatch):
    from train.module import SFTModule

    arguments = write_arguments(checkpoint, meta, tmp_path, max_steps=6, save_steps=2)
    train = SFTModule.training_step

    def fail(module: SFTModule, batch: object, batch_idx: int) -> torch.Tensor:
        if module.trainer.global_step == 3:
            module.model.mlp1[1].weight.data[0] = torch.nan
        return train(module, batch, batch_idx)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(SFTModule, "training_step", fail)
        assert_named(run_here(arguments), 4, meta)
    assert [step for step, _ in find_states(tmp_path / "checkpoints")] == [2]
    output = train_here([*arguments, "--optim.learning_rate=1e-4", "--accept_changes=true"])
    assert f"going on from {tmp_path}/checkpoints/step-2" in output
    assert "exported: " in output


@pytest.mark.dist
@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["ddp", "zero2"])
def test_two_processes_stop_with_the_word_of_the_first(strategy, checkpoint, meta, tmp_path):
    base = Path(shutil.copytree(checkpoint, tmp_path / "base"))
    poison(base, "mlp1.0.weight")
    options = {"devices": 2, "per_device_batch_size": 2, "strategy": strategy}
    done = run_warm(*write_arguments(base, meta, tmp_path / "run", **options))
    assert len(set(assert_named(done, 1, meta))) == 4  # of both processes
    assert done.errors.count("error: ") == 1
