"""A whole training run on the CPU: it learns, what it leaves behind, and what goes wrong is said before it starts."""

from __future__ import annotations

import json
import re
import shutil
import warnings

import pytest
import torch
from torch.optim.optimizer import register_optimizer_step_pre_hook

import internvl.model
from internvl.conversation import Conversation
from internvl.errors import InputError
from internvl.folder import check_folder
from internvl.model import InternVLChatModel, load_model
from internvl.processor import InternVLProcessor
from tests.tiny_parts import write_parts
from tests.tiny_run import (
    COLORS,
    make_row,
    read_scalars,
    read_weights,
    run_here,
    train_here,
    without_gpu,
    write_arguments,
    write_meta,
)
from train.arguments import parse
from train.config import FinetuneConfig
from train.run import fit
from train.state import SavedState


def losses(output: str) -> list[float]:
    """The losses of the printed lines."""
    return [float(line.split("loss ")[1].split()[0]) for line in output.splitlines() if line.startswith("step ")]


def test_the_loss_falls(checkpoint, meta, tmp_path):
    arguments = write_arguments(checkpoint, meta, tmp_path / "run", max_steps=30, **{"optim.learning_rate": 1e-2})
    curve = losses(train_here(arguments))
    assert len(curve) == 30
    # Four colors: who knows only that there are four still loses 0.69 on the two tokens of an answer.
    assert curve[0] > 4
    assert max(curve[-5:]) < 0.6


def test_a_trained_model_answers_from_the_picture(checkpoint, meta, tmp_path):
    options = {"max_steps": 100, "log_steps": 100, "optim.learning_rate": 1e-2}
    train_here(write_arguments(checkpoint, meta, tmp_path, **options))
    processor = InternVLProcessor.from_pretrained(tmp_path / "export")
    model = load_model(tmp_path / "export").eval()
    right = 0
    for number in range(8):
        # The question is always the same: the color is in the picture alone.
        row = processor(Conversation.ask("What color is picture 0?", meta.parent / f"{number}.png"))
        ids = model.generate(
            row["input_ids"][None],
            row["pixel_values"],
            max_new_tokens=3,
            eos_token_id=processor.stop_id,
            do_sample=False,
        )
        right += processor.decode(ids[0].tolist()) == COLORS[number % len(COLORS)]
    # Without the picture 2 of 8 would be right.
    assert right >= 6


def test_a_run_says_what_it_is_about(checkpoint, finished_run):
    text = finished_run.output.splitlines()
    parts = {"vision tower": "vision_model.", "projector": "mlp1.", "language model": "language_model.", "all": ""}
    named = list(load_model(checkpoint).named_parameters())
    sizes = {name: sum(p.numel() for key, p in named if key.startswith(part)) for name, part in parts.items()}
    assert text[0] == "part            parameters  trained"
    assert text[1:5] == [f"{name:<14}  {size:>10,}  {size:>7,}" for name, size in sizes.items()]
    assert text[5:11] == [
        "state per device            MB",
        f"parameters                {4 * sizes['all'] / 1e6:.2f}",
        f"gradients                 {4 * sizes['all'] / 1e6:.2f}",
        f"moments of the optimizer  {8 * sizes['all'] / 1e6:.2f}",
        f"on the device             {16 * sizes['all'] / 1e6:.2f}  with single on 1, 32-true",
        "activations and buffers come on top",
    ]
    assert text[11] == "data: rows: 20 samples per epoch of 20 rows"
    assert re.fullmatch(
        r"batch: 4 samples in 1 packs = 1 devices x 1 forward passes; packs of \d+ tokens on average, at most 8,192 "
        r"tokens and 48 tiles",
        text[12],
    )
    assert text[13] == "steps: 30, 6.00 epochs"
    assert re.fullmatch(r"tokens: about [\d,]+ per step, [\d,]+ per epoch, [\d,]+ in all", text[14])
    assert text[15] == f"run folder: {finished_run.folder}"
    assert text[-1] == f"exported: {finished_run.folder}/export"


def test_the_run_folder_holds_everything(finished_run):
    folder = finished_run.folder
    assert sorted(path.name for path in folder.iterdir()) == [
        "bad_samples.jsonl",
        "checkpoints",
        "config.yaml",
        "export",
        "manifest.json",
        "plan",
        "run.json",
        "tensorboard",
    ]
    assert (folder / "bad_samples.jsonl").read_text() == ""
    assert sorted(path.name for path in (folder / "checkpoints").iterdir()) == ["step-10", "step-20", "step-30"]
    for step in (10, 20, 30):
        saved = folder / "checkpoints" / f"step-{step}"
        assert sorted(path.name for path in saved.iterdir()) == [
            "checkpoint.json",
            "loops.pt",
            "part-00000-000.safetensors",
        ]
        assert json.loads((saved / "checkpoint.json").read_text())["step"] == step


def test_the_merged_configuration_repeats_the_run(finished_run, tmp_path):
    file = finished_run.folder / "config.yaml"
    assert parse(["--config", str(file)]) == parse(finished_run.arguments)
    again = train_here(["--config", str(file), "--output_dir", str(tmp_path / "again")])
    assert losses(again) == losses(finished_run.output)
    one, other = read_weights(finished_run.folder), read_weights(tmp_path / "again")
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_tensorboard_holds_loss_learning_rate_gradient_norm_and_speed(finished_run):
    curves = read_scalars(finished_run.folder)
    assert set(curves) - {"epoch"} == {
        "train/loss",
        "train/gradient_norm",
        "train/learning_rate",
        "speed/samples_per_second",
        "speed/tokens_per_second",
        "speed/tiles_per_second",
        "speed/model_tflops_per_device",
        "loss/rows",
        "memory/process_peak_gb",
        "data/wait_share",
        "data/pack_fill",
        "data/bad_samples",
        "data/cut_samples",
    }
    assert set(curves["data/bad_samples"].values()) == set(curves["data/cut_samples"].values()) == {0.0}
    assert all(list(curve) == list(range(30)) for curve in curves.values())
    assert list(curves["train/loss"].values()) == pytest.approx(losses(finished_run.output), abs=1e-4)
    # The learning rate alone begins at zero.
    assert all(
        value > 0
        for name in curves
        if "/bad_" not in name and "/cut_" not in name
        for value in list(curves[name].values())[1:]
    )
    assert curves["train/learning_rate"][0] == 0.0
    assert curves["train/learning_rate"][1] == pytest.approx(3e-3)


def test_points_are_as_far_apart_as_asked(checkpoint, meta, tmp_path):
    output = train_here(write_arguments(checkpoint, meta, tmp_path, max_steps=8, log_steps=3))
    lines = [line.split("  ")[0] for line in output.splitlines() if line.startswith("step ")]
    assert lines == ["step 3/8", "step 6/8", "step 8/8"]
    curves = read_scalars(tmp_path)
    assert list(curves["train/loss"]) == [2, 5]
    assert list(curves["speed/tokens_per_second"]) == list(curves["loss/rows"]) == [2, 5, 7]


def test_the_exported_model_is_the_trained_one(checkpoint, finished_run):
    from transformers import AutoConfig, AutoModel

    folder = finished_run.folder / "export"
    assert internvl.model.InternVLChatModel is InternVLChatModel
    model = AutoModel.from_pretrained(folder)
    ours = load_model(folder)
    assert type(model) is type(ours) is InternVLChatModel
    assert AutoConfig.from_pretrained(folder).template == "Hermes-2"
    before = load_model(checkpoint).state_dict()
    for name, value in ours.state_dict().items():
        assert torch.equal(model.state_dict()[name], value)
    assert any(not torch.equal(before[name], value) for name, value in ours.state_dict().items())
    saved = SavedState(finished_run.folder / "checkpoints" / "step-30")
    assert saved.shapes.keys() == dict(ours.named_parameters()).keys()
    for name, value in ours.named_parameters():
        assert torch.equal(saved.read(name).view(saved.shapes[name]), value)


def test_a_padded_run_says_what_its_batches_are(checkpoint, meta, tmp_path):
    options = {"data.packing": "false", "per_device_batch_size": 2, "max_steps": 1}
    output = train_here(write_arguments(checkpoint, meta, tmp_path, **options))
    assert "\nbatch: 4 samples = 2 per device x 1 devices x 2 forward passes\nsteps: 1, 0.20 epochs\n" in output


def test_parameters_of_two_groups_have_one_learning_rate(checkpoint, meta, tmp_path):
    steps: list[list[float]] = []

    def record(optimizer: torch.optim.Optimizer, *_: object) -> None:
        steps.append([group["lr"] for group in optimizer.param_groups])

    handle = register_optimizer_step_pre_hook(record)
    try:
        train_here(write_arguments(checkpoint, meta, tmp_path, **{"optim.decay": "matrices"}))
    finally:
        handle.remove()
    assert [len(rates) for rates in steps] == [2] * 4
    curves = read_scalars(tmp_path)
    # One curve says it.
    assert not any(name.startswith("learning_rate/") for name in curves)
    for rates, expected in zip(steps, curves["train/learning_rate"].values(), strict=True):
        assert rates[0] == rates[1] == pytest.approx(expected)


def test_parts_with_rates_of_their_own_have_curves_of_their_own(checkpoint, meta, tmp_path):
    options = {"optim.vision_learning_rate": 1e-3, "optim.llm_learning_rate": 2e-3, "optim.warmup_steps": 2}
    train_here(write_arguments(checkpoint, meta, tmp_path, **options))
    curves = read_scalars(tmp_path)
    for name, peak in (("vision", 1e-3), ("llm", 2e-3), ("mlp", 3e-3)):
        rates = [0, peak / 2, peak, peak / 2]
        assert list(curves[f"learning_rate/{name}"].values()) == pytest.approx(rates, rel=1e-5)
    assert curves["train/learning_rate"] == curves["learning_rate/mlp"]


def test_a_model_is_exported_with_the_template_and_tiling_of_its_training(checkpoint, meta, tmp_path):
    options = {"model.conv_style": "Hermes-2@internvl-v1.2", "data.dynamic_image_size": "true"}
    options |= {"data.use_thumbnail": "true", "data.max_dynamic_patch": 4}
    train_here(write_arguments(checkpoint, meta, tmp_path, max_steps=1, **options))
    used = InternVLProcessor.from_pretrained(tmp_path / "export")
    assert (used.template.name, used.template.system) == ("Hermes-2", "Answer the questions.")
    assert (used.tiler.thumbnail, used.tiler.max_tiles) == (True, 4)


def test_a_run_with_frozen_parts_exports_them_unchanged(checkpoint, meta, tmp_path):
    train_here(write_arguments(checkpoint, meta, tmp_path, **{"model.freeze_llm": "true"}))
    before, after = load_model(checkpoint).state_dict(), load_model(tmp_path / "export").state_dict()
    for name in before:
        same = torch.equal(before[name], after[name])
        assert same == name.startswith("language_model"), name


def test_a_good_run_warns_of_nothing(checkpoint, meta, tmp_path):
    options = {"model.freeze_backbone": "true", "save_steps": 2, "save_total_limit": 9, "log_steps": 9}
    arguments = write_arguments(checkpoint, meta, tmp_path, **options)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(2):
            done = run_here(arguments)
            assert (done.code, done.errors) == (0, "")
            # So that the second run goes on in the middle.
            shutil.rmtree(tmp_path / "checkpoints" / "step-4")
    assert "going on from" in done.output
    assert [str(warning.message) for warning in caught if "lightning" in warning.filename] == []


@pytest.mark.parametrize(
    ("packing", "size", "message"),
    [
        ("false", 128, "batch_size: expected a multiple of 4 per device x 3 devices, got 128; use 120"),
        ("true", 2, "batch_size: expected at least one sample per device, got 2 for 3 devices; raise it to 3"),
    ],
)
def test_a_batch_that_the_devices_do_not_divide_is_refused(packing, size, message, checkpoint, meta, tmp_path):
    options = {"batch_size": size, "devices": 3, "data.packing": packing}
    done = run_here(write_arguments(checkpoint, meta, tmp_path / "run", **options))
    assert done.code == 2
    assert done.errors.startswith(f"error: {message}")
    assert done.errors.count("\n") == 1
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_more_devices_than_there_are_is_refused(tmp_path, monkeypatch):
    config = FinetuneConfig(output_dir=str(tmp_path / "run"), devices=3)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(InputError, match=r"^devices: expected at most 2, got 3; lower --devices$"):
        fit(config)


def test_fit_returns_the_exit_code_of_a_run_that_is_finished(checkpoint, meta, tmp_path):
    config = parse(write_arguments(checkpoint, meta, tmp_path / "a" / "b", max_steps=1))
    with without_gpu():
        assert fit(config) == 0
    assert json.loads((tmp_path / "a" / "b" / "export" / "config.json").read_text())["model_type"] == "internvl_chat"


def test_a_run_begins_with_the_parts_of_a_model(tmp_path):
    parts = write_parts(tmp_path / "parts")
    rows = [make_row(f"What is {number}?", "red") for number in range(8)]
    arguments = write_arguments(tmp_path, write_meta(tmp_path / "data", rows), tmp_path / "run", max_steps=2)
    words = [word for word in arguments if not word.startswith("--model.pretrained")]
    words += [f"--model.{name}={path}" for name, path in parts.items()]
    output = train_here(words)
    assert output.endswith(f"exported: {tmp_path}/run/export\n")
    assert check_folder(tmp_path / "run" / "assembled")
    before, after = (load_model(tmp_path / "run" / name).state_dict() for name in ("assembled", "export"))
    assert any(not torch.equal(before[name], after[name]) for name in before)
    # The same command, and the recipe that it left, find the same beginning.
    for again in (words, ["--config", str(tmp_path / "run" / "config.yaml")]):
        assert parse(again) == parse(words)
        assert "going on from" in train_here(again)


def test_a_dry_run_says_everything_and_trains_nothing(checkpoint, meta, finished_run, tmp_path):
    folder = tmp_path / "run"
    output = train_here([*finished_run.arguments, f"--output_dir={folder}", "--dry_run=true"])
    lines = finished_run.output.replace(str(finished_run.folder), str(folder)).splitlines()
    assert output.splitlines() == lines[:16]
    assert not {"checkpoints", "export", "tensorboard", "run.json"} & {path.name for path in folder.iterdir()}
    # The real run is not held up by it.
    train_here(write_arguments(checkpoint, meta, folder, max_steps=1))
    assert (folder / "export").is_dir()


def test_a_dry_run_of_other_options_leaves_a_run_as_it_is(finished_run):
    before = (finished_run.folder / "config.yaml").read_bytes()
    train_here([*finished_run.arguments, "--dry_run=true", "--log_steps=7", "--overwrite=true"])
    assert (finished_run.folder / "config.yaml").read_bytes() == before
    assert (finished_run.folder / "checkpoints" / "step-30").is_dir()
