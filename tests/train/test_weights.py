"""What a run begins with: a checkpoint as it is, or one that is made from its parts."""

from __future__ import annotations

import json
from pathlib import Path
from threading import Timer
from typing import Any

import pytest
import torch

from internvl.assemble import assemble
from internvl.convert import Conversion, convert
from internvl.errors import InputError, MissingError
from internvl.model import load_model
from tests.tiny import tiny_checkpoint
from tests.tiny_parts import WEIGHTS, write_parts
from tests.tiny_run import read_scalars, run_here, train_here, write_arguments
from train.config import FinetuneConfig, ModelConfig
from train.weights import open_weights, prepare_weights


def configure(folder: Path, **model: Any) -> FinetuneConfig:
    return FinetuneConfig(model=ModelConfig(**model), output_dir=str(folder))


def test_a_checkpoint_stays_what_it_is(tmp_path):
    config = configure(tmp_path / "run", pretrained=str(tiny_checkpoint(tmp_path / "base")))
    assert prepare_weights(config, is_first=True) is config
    model_config, source = open_weights(config)
    expected = load_model(tmp_path / "base")
    assert source.shapes == {name: tuple(parameter.shape) for name, parameter in expected.named_parameters()}
    assert model_config.select_layer == expected.config.select_layer
    assert not (tmp_path / "run").exists()


def test_a_folder_that_is_no_checkpoint_is_named(tmp_path):
    with pytest.raises(MissingError, match="expected"):
        prepare_weights(configure(tmp_path, pretrained=str(tmp_path / "none")), is_first=True)


@pytest.mark.parametrize(
    ("name", "stored", "other"),
    [("force_image_size", 56, 112), ("down_sample_ratio", 0.5, 0.25), ("ps_version", "v2", "v1")],
)
def test_sizes_that_the_checkpoint_does_not_have_are_refused(name, stored, other, tmp_path):
    base = str(tiny_checkpoint(tmp_path / "base"))
    open_weights(configure(tmp_path, pretrained=base, **{name: stored}))
    with pytest.raises(InputError, match=rf"^model.{name}: expected {stored} as in .*base, got {other}; leave it out"):
        open_weights(configure(tmp_path, pretrained=base, **{name: other}))


@pytest.mark.parametrize("layer", [-2, 0, 1])
def test_the_layer_can_be_chosen(layer, tmp_path):
    base = str(tiny_checkpoint(tmp_path / "base"))
    config, _ = open_weights(configure(tmp_path, pretrained=base, vision_select_layer=layer))
    assert config.select_layer == layer


def test_parts_are_joined_in_the_run_folder(tmp_path):
    parts = {name: str(path) for name, path in write_parts(tmp_path / "parts").items()}
    config = configure(tmp_path / "run", **parts, ps_version="v1", vision_select_layer=-2, force_image_size=112)
    prepared = prepare_weights(config, is_first=True)
    assert prepared.model.pretrained == str(tmp_path / "run" / "assembled")
    model_config, _ = open_weights(prepared)
    assert (model_config.ps_version, model_config.select_layer, model_config.image_size) == ("v1", -2, 112)
    model = load_model(prepared.model.pretrained)
    projector = torch.load(parts["mlp_path"], weights_only=True)
    assert all(torch.equal(model.mlp1.state_dict()[name], tensor) for name, tensor in projector.items())
    # Once more, nothing is written.
    before = (tmp_path / "run" / "assembled" / "config.json").stat().st_mtime_ns
    prepare_weights(config, is_first=True)
    assert (tmp_path / "run" / "assembled" / "config.json").stat().st_mtime_ns == before


def test_other_processes_wait_for_the_first(tmp_path):
    parts = {name: str(path) for name, path in write_parts(tmp_path / "parts").items()}
    config = configure(tmp_path / "run", **parts)
    begun: list[FinetuneConfig] = []
    timer = Timer(0.3, lambda: begun.append(prepare_weights(config, is_first=True)))
    timer.start()
    waited = prepare_weights(config, is_first=False)
    timer.join()
    assert begun == [waited]
    open_weights(waited)


def test_a_name_on_the_hub_stays_what_it_was_when_the_run_began(hub, meta, tmp_path):
    hub.add("owner/tiny", tiny_checkpoint(tmp_path / "base"))
    config = configure(tmp_path / "run", pretrained="hub:owner/tiny")
    timer = Timer(0.3, lambda: prepare_weights(config, is_first=True))
    timer.start()
    waited = prepare_weights(config, is_first=False)
    timer.join()
    hub.requests.clear()
    hub.add("owner/tiny", tiny_checkpoint(tmp_path / "newer", seed=1))
    assert prepare_weights(config, is_first=True) == waited
    assert hub.requests == []
    stored, source = load_model(tmp_path / "base"), open_weights(waited)[1]
    for name, tensor in stored.state_dict().items():
        assert torch.equal(source.read(name).view(tensor.shape), tensor)
    words = write_arguments(Path("hub:owner/tiny"), meta, tmp_path / "other", dry_run=True)
    assert "step" in train_here(words)
    assert "pretrained: hub:owner/tiny\n" in (tmp_path / "other" / "config.yaml").read_text()
    assert run_here([*words, "--model.pretrained=hub:tiny"]).errors.startswith("error: checkpoint: expected hub:owner/")


def test_parts_on_the_hub_stay_what_they_were(hub, tmp_path):
    parts = write_parts(tmp_path / "parts")
    expected = assemble(tmp_path / "expected", **parts, seed=FinetuneConfig().seed)
    names = {"vision_path": "hub:owner/vision", "llm_path": "hub:owner/language"}
    for option, name in names.items():
        hub.add(name.removeprefix("hub:"), parts[option])
    config = configure(tmp_path / "run", **names, mlp_path=str(parts["mlp_path"]))
    prepared = prepare_weights(config, is_first=True)
    for name in names.values():
        hub.add(name.removeprefix("hub:"), {"config.json": b"{}"})
    hub.requests.clear()
    assert prepare_weights(config, is_first=True) == prepared
    assert hub.requests == []
    assert (Path(prepared.model.pretrained) / WEIGHTS).read_bytes() == (expected / WEIGHTS).read_bytes()


def write_run(meta: Path, folder: Path, parts: dict[str, Path], **options: Any) -> list[str]:
    given = {f"model.{name}": path for name, path in parts.items()}
    words = write_arguments(Path(), meta, folder, **given, max_steps=2, **options)
    return [word for word in words if not word.startswith("--model.pretrained")]


def test_a_run_begins_with_parts_and_goes_on(meta, tmp_path):
    words = write_run(meta, tmp_path / "run", write_parts(tmp_path / "parts"), save_steps=1)
    train_here(words)
    exported = load_model(tmp_path / "run" / "export")
    assembled = load_model(tmp_path / "run" / "assembled")
    assert exported.config.template == assembled.config.template == "Hermes-2"
    assert not torch.equal(exported.mlp1[1].weight, assembled.mlp1[1].weight)
    assert "going on from" in train_here([*words, "--max_steps=3", "--accept_changes=true"])
    assert sorted(read_scalars(tmp_path / "run")["train/loss"]) == [0, 1, 2]
    saved = json.loads((tmp_path / "run" / "checkpoints" / "step-3" / "checkpoint.json").read_text())
    assert saved["step"] == 3


def test_a_run_with_a_part_that_is_missing_ends_with_one_line(meta, tmp_path):
    parts = {**write_parts(tmp_path / "parts"), "mlp_path": tmp_path / "none.pth"}
    done = run_here(write_run(meta, tmp_path / "run", parts))
    assert (done.code, done.errors.count("\n")) == (2, 1)
    assert "none.pth" in done.errors


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (
            "vision_path",
            "model.pretrained: expected either a checkpoint or its parts (vision_path, mlp_path, llm_path)",
        ),
        ("mlp_path", "model.pretrained: expected either a checkpoint or its parts (vision_path, mlp_path, llm_path)"),
    ],
)
def test_a_checkpoint_and_a_part_are_refused(option, message, checkpoint, meta, tmp_path):
    done = run_here([*write_arguments(checkpoint, meta, tmp_path / "run"), f"--model.{option}={tmp_path}"])
    assert (done.code, done.errors.count("\n")) == (2, 1)
    assert done.errors.startswith(f"error: {message}, got both; leave one out")


def test_every_layout_trains_to_the_same_weights(meta, tmp_path):
    base = tiny_checkpoint(tmp_path / "base", ps_version="v2")
    starts = [base]
    for to in ("hf", "internlm2"):
        convert(Conversion(base, to), tmp_path / to)
        starts.append(tmp_path / to)
    exports = []
    for start in starts:
        train_here(write_arguments(start, meta, tmp_path / f"run {start.name}", max_steps=2))
        exports.append((tmp_path / f"run {start.name}" / "export" / WEIGHTS).read_bytes())
    assert exports[0] == exports[1] == exports[2]
    assert exports[0] != (base / WEIGHTS).read_bytes()
