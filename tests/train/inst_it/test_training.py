"""The recipes of Inst-It on converted rows: both take steps, with many frames, in packs, and train what they say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from benchmarks.inst_it_maker import InstItMaker, list_pictures, write_dataset, write_list
from internvl.conversation import FRAME_LABEL
from tests.tiny_parts import write_parts
from tests.tiny_run import (
    ROOT,
    VISION,
    build_here,
    read_bad,
    read_losses,
    read_weights,
    run_here,
    train_here,
    write_tiny_scratch,
)

RECIPES = ROOT / "train" / "recipes"
SMALL: dict[str, Any] = {
    # What a small model and a machine without GPUs need otherwise.
    "model.force_image_size": 56,
    "strategy": "single",
    "precision": "32-true",
    "devices": 1,
    "data.num_workers": 0,
    "data.max_seq_length": 2048,
    "data.max_packed_tokens": 4096,
    "batch_size": 8,
    "per_device_batch_size": 4,
    "max_steps": 2,
}


@pytest.fixture(scope="module")
def meta(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rows of four images and of four videos, one of which has more frames than are shown."""
    folder = tmp_path_factory.mktemp("inst-it")
    maker = InstItMaker(5, scale=0.2)
    write_dataset(folder, 4, 3, maker=maker, pictures=True)
    long = maker.video(9, num_frames=20, num_pairs=7)
    (folder / long["video_path"]).mkdir(parents=True)
    source = next((folder / "images_vpt").iterdir())
    for name in list_pictures(long):
        (folder / name).write_bytes(source.read_bytes())
    videos = folder / "inst_it_dataset_video_21k.json"
    write_list(videos, [*json.loads(videos.read_text()), long])
    images = folder / "inst_it_dataset_image_51k.json"
    options = ["--images", images, "--videos", videos, "--root", folder, "--output", folder / "rows", "--check"]
    assert run_here(["convert-inst-it", *map(str, options)]).code == 0
    return folder / "rows" / "inst_it_meta.json"


def write_arguments(recipe: str, folder: Path, **options: Any) -> list[str]:
    values = {**SMALL, "output_dir": folder, **options}
    return ["--config", str(RECIPES / f"{recipe}.yaml"), *(f"--{name}={value}" for name, value in values.items())]


def test_frames_are_one_tile_each_and_keep_their_numbers(meta, tmp_path):
    model = write_tiny_scratch(tmp_path / "model", vision={**VISION, "num_hidden_layers": 14})
    entry = json.loads(meta.read_text())["inst_it_vid_qa"]
    (tmp_path / "qa.json").write_text(json.dumps({"vid_qa": entry}))
    options = {"model.pretrained": model, "data.meta_path": tmp_path / "qa.json"}
    data = build_here(write_arguments("inst_it_stage2_continuous", tmp_path / "run", **options))
    rows = [json.loads(line) for line in Path(entry["annotation"]).read_text().splitlines()]
    _, tiles = data.dataset.measure(torch.arange(len(rows)).numpy())
    assert sorted(tiles.tolist()) == sorted(len(row["image"]) for row in rows)
    shown = next(row for row in rows if len(row["image"]) == 16)
    lines = shown["conversations"][0]["value"].splitlines()[:16]
    numbers = [number for number in range(1, 21) if f"{FRAME_LABEL.format(number)}<image>" in lines]
    assert len(numbers) == 16
    assert (numbers[0], numbers[-1]) == (1, 20)
    assert [Path(name).stem for name in shown["image"]] == [f"frame_{5 * number - 4}" for number in numbers]


def test_stage_one_trains_the_projector_alone(meta, tmp_path):
    parts = write_parts(tmp_path)
    del parts["mlp_path"]
    options = {f"model.{name}": path for name, path in parts.items()} | {"data.meta_path": meta}
    said = train_here(write_arguments("inst_it_stage1_projector", tmp_path / "run", **options))
    trained = {line.split("  ")[0]: line.split()[-1] for line in said.splitlines()[1:4]}
    assert trained["vision tower"] == trained["language model"] == "0"
    assert trained["projector"] != "0"
    assert len(read_losses(tmp_path / "run")) == 2


def test_stage_two_trains_all_but_the_first_twelve_blocks(meta, tmp_path):
    model = write_tiny_scratch(tmp_path / "model", vision={**VISION, "num_hidden_layers": 14})
    options = {"model.pretrained": model, "data.meta_path": meta, "export_dtype": "float32", "max_steps": 3}
    said = train_here(write_arguments("inst_it_stage2_continuous", tmp_path / "run", **options))
    assert "packs" in said
    assert len(read_losses(tmp_path / "run")) == 3
    before, after = load_file(model / "model.safetensors"), read_weights(tmp_path / "run")
    changed = {name for name, tensor in before.items() if not torch.equal(tensor, after[name])}
    blocks = {int(name.split(".layers.")[1].split(".")[0]) for name in changed if name.startswith("vision_model.")}
    assert blocks == {12, 13}
    assert not any(name.startswith("vision_model.embeddings") for name in changed)
    assert any(name.startswith("mlp1.") for name in changed)
    assert any(name.startswith("language_model.") for name in changed)
    assert read_bad(tmp_path / "run") == []
