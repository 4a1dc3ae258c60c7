"""Assembling as a command among others: again, cut short, refused, and in less memory than the model needs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from internvl.__main__ import main
from internvl.assemble import RECORD, assemble
from internvl.errors import InputError
from internvl.model import load_model
from internvl.model.shards import ShardWriter
from internvl.parts import open_vision
from tests.tiny_parts import WEIGHTS, write_language, write_parts

ROOT = Path(__file__).parents[2]


@pytest.fixture
def parts(tmp_path: Path) -> dict[str, Path]:
    return write_parts(tmp_path / "parts")


def read_files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def refuse(*_: Any) -> None:
    raise AssertionError("written again")


def test_the_same_again_is_kept_and_not_written(parts, tmp_path, monkeypatch):
    folder = assemble(tmp_path / "chat", **parts, seed=3)
    files = read_files(folder)
    with monkeypatch.context() as patch:
        patch.setattr(ShardWriter, "add", refuse)
        assert assemble(tmp_path / "chat", **parts, seed=3) == folder
        # However the same parts are called.
        linked = {name: Path(os.path.relpath(path)) for name, path in parts.items()}
        assemble(tmp_path / "chat", **linked, seed=3)
    assert read_files(folder) == files
    assert read_files(assemble(tmp_path / "again", **parts, seed=3)) == files


def rewrite_projector(parts: dict[str, Path], options: dict[str, Any]) -> None:
    """The same size, other numbers."""
    state = torch.load(parts["mlp_path"])
    torch.save({name: tensor + 1 for name, tensor in state.items()}, parts["mlp_path"])


def ask_for(**changes: Any) -> Callable[[dict[str, Path], dict[str, Any]], None]:
    return lambda parts, options: options.update(changes)


def lose_weights(parts: dict[str, Path], options: dict[str, Any]) -> None:
    next((parts["vision_path"].parents[1] / "chat").glob("*.safetensors")).unlink()


def break_record(parts: dict[str, Path], options: dict[str, Any]) -> None:
    (parts["vision_path"].parents[1] / "chat" / RECORD).write_text("{")


@pytest.mark.parametrize(
    "change",
    [
        *(rewrite_projector, lose_weights, break_record),
        *(ask_for(seed=1), ask_for(ps_version="v1"), ask_for(template="internvl2_5"), ask_for(use_thumbnail=True)),
    ],
)
def test_what_is_not_the_same_is_written_again(change, parts, tmp_path):
    folder = assemble(tmp_path / "chat", **parts)
    (folder / "stale.txt").touch()
    options: dict[str, Any] = {}
    change(parts, options)
    assemble(folder, **parts, **options)
    assert read_files(folder) == read_files(assemble(tmp_path / "fresh", **parts, **options))
    load_model(folder)


def test_a_kill_leaves_what_was_there(parts, tmp_path):
    def stop(done: int, total: int) -> None:
        if done == total // 2:
            raise KeyboardInterrupt

    for expected in ({}, None):
        with pytest.raises(KeyboardInterrupt):
            assemble(tmp_path / "chat", **parts, seed=1, progress=stop)
        assert sorted(path.name for path in tmp_path.iterdir()) == (["parts"] if expected == {} else ["chat", "parts"])
        files = read_files(assemble(tmp_path / "chat", **parts))
        with pytest.raises(KeyboardInterrupt):
            assemble(tmp_path / "chat", **parts, seed=1, progress=stop)
        assert read_files(tmp_path / "chat") == files


def test_progress_counts_every_tensor_once(parts, tmp_path):
    seen = []
    folder = assemble(tmp_path / "chat", **parts, progress=lambda *counts: seen.append(counts))
    total = len(load_file(folder / WEIGHTS))
    assert seen == [(number, total) for number in range(1, total + 1)]


def test_a_folder_with_other_files_is_not_replaced(parts, tmp_path):
    output = tmp_path / "work"
    output.mkdir()
    assemble(output, **parts)
    (output / RECORD).unlink()
    files = read_files(output)
    with pytest.raises(
        InputError, match=r"^output: expected a new folder or one that was assembled before, got .*work"
    ):
        assemble(output, **parts)
    assert read_files(output) == files


@pytest.mark.parametrize("output", ["parts", "parts/vision", "parts/mlp_projector.pth", "."])
def test_the_parts_are_not_replaced(output, parts, tmp_path):
    (tmp_path / "parts" / RECORD).write_text("{}")
    with pytest.raises(InputError, match=r"^output: expected a folder beside the parts, got "):
        assemble(tmp_path / output, **parts)
    assert parts["mlp_path"].is_file()
    open_vision(parts["vision_path"])


def add_to_weights(name: str) -> Callable[[dict[str, Path], dict[str, Any]], None]:
    def change(parts: dict[str, Path], options: dict[str, Any]) -> None:
        for part in ("vision_path", "llm_path"):
            state = load_file(parts[part] / WEIGHTS)
            save_file(state | {name: torch.ones(2)}, parts[part] / WEIGHTS, metadata={"format": "pt"})

    return change


def lose_part(part: str) -> Callable[[dict[str, Path], dict[str, Any]], None]:
    return lambda parts, options: parts.update({part: Path("lost")})


def narrow(parts: dict[str, Path], options: dict[str, Any]) -> None:
    write_language(parts["llm_path"], hidden_size=24)


def other_depth(parts: dict[str, Path], options: dict[str, Any]) -> None:
    config = parts["llm_path"] / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"num_hidden_layers": 3}))


def lose_tokenizer(parts: dict[str, Path], options: dict[str, Any]) -> None:
    for path in parts["llm_path"].glob("tokenizer*"):
        path.unlink()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lose_part("vision_path"), r"^vision_path: expected a file or folder, got lost, which does not exist"),
        (lose_part("llm_path"), r"^llm_path: expected a file or folder, got lost"),
        (lose_part("mlp_path"), r"^mlp_path: expected a file or folder, got lost"),
        (add_to_weights("encoder.layers.9.ls1"), r"in .*/vision, got 1 unexpected \(encoder.layers.9.ls1\)"),
        (narrow, r"expected 1.weight of shape \(24, 128\), from .*/vision to .*/language, got \(48, 128\) in .*pth"),
        (ask_for(down_sample_ratio=0.25), r"expected 0.weight of shape \(512,\), from .*, got \(128,\) in .*pth"),
        (other_depth, r"in .*/language, got 9 missing \(model.layers.2.*\)"),
        (lose_tokenizer, r"^tokenizer: expected tokenizer files in .*/language"),
        (ask_for(template="phi3-chat"), r"^tokenizer: expected the token <\|end\|> that chat template phi3-chat needs"),
        (ask_for(template="Hermes"), r"^chat template: expected a known name, got 'Hermes'; try Hermes-2"),
        (ask_for(ps_version="v3"), r"^ps_version: expected v1 or v2, got 'v3'"),
        (ask_for(select_layer=3), r"^select_layer: expected a layer of 2, got 3"),
        (ask_for(select_layer=-4), r"^select_layer: expected a layer of 2, got -4"),
        (ask_for(down_sample_ratio=0.3), r"^down_sample_ratio: expected one that divides 4 x 4 patches"),
        (ask_for(down_sample_ratio=0.0), r"^down_sample_ratio: expected one that divides 4 x 4 patches"),
        (ask_for(force_image_size=42), r"expected one that divides 3 x 3 patches \(42 pixels\), got 0.5"),
        (ask_for(normalize_type="none"), r"^normalization: expected one of "),
        (ask_for(min_dynamic_patch=13), r"tiles"),
    ],
)
def test_parts_that_do_not_fit_are_named_before_anything_is_written(change, message, parts, tmp_path):
    options: dict[str, Any] = {}
    change(parts, options)
    with pytest.raises(InputError, match=message) as caught:
        assemble(tmp_path / "chat", **parts, **options)
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["parts"]


def test_the_command_writes_what_the_function_does(parts, tmp_path, capsys):
    words = [f"--{name.replace('_', '-')}={path}" for name, path in parts.items()]
    choices = ["--force-image-size=112", "--ps-version=v1", "--conv-style=internvl2_5", "--select-layer=-2"]
    choices += ["--dynamic-image-size", "--use-thumbnail", "--max-dynamic-patch=6", "--seed=5", "--no-certificate"]
    assert main(["assemble", *words, *choices, f"--output={tmp_path}/command"]) == 0
    output = capsys.readouterr()
    assert output.out == f"{tmp_path}/command: a chat model with its tokenizer\n"
    options = {"force_image_size": 112, "ps_version": "v1", "template": "internvl2_5", "select_layer": -2, "seed": 5}
    options |= {"dynamic_image_size": True, "use_thumbnail": True, "max_dynamic_patch": 6}
    files = read_files(assemble(tmp_path / "function", **parts, **options))
    ours = read_files(tmp_path / "command")
    del ours[RECORD], files[RECORD]
    assert ours == files
    assert main(["assemble", *words, f"--output={parts['vision_path']}"]) == 2
    assert capsys.readouterr().err.startswith("error: output: expected a folder beside the parts, got ")


# The peak of the process itself: that of getrusage begins with the peak of the process that started it.
MEASURE = """
import sys
from pathlib import Path
from internvl.assemble import assemble
def peak():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM:")) * 1024
folder = Path(sys.argv[1])
paths = {"vision_path": folder / "vision"}
assemble(folder / "warm", **paths, llm_path=folder / "language")
before = peak()
assemble(folder / "chat", **paths, llm_path=folder / "large", max_bytes=int(sys.argv[2]))
print(peak() - before)
"""


@pytest.mark.slow
def test_the_memory_is_that_of_one_file(parts, tmp_path):
    folder = tmp_path / "parts"
    sizes = {"hidden_size": 1024, "intermediate_size": 2048, "num_hidden_layers": 8}
    write_language(folder / "large", **sizes, num_attention_heads=8, tokens=[f"<{n}>" for n in range(8000)])
    size = (folder / "large" / WEIGHTS).stat().st_size
    assert size > 300_000_000
    growth = {}
    for max_bytes in (40_000_000, 1_000_000_000):
        done = subprocess.run(
            [sys.executable, "-c", MEASURE, str(folder), str(max_bytes)],
            cwd=ROOT,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        growth[max_bytes] = int(done.stdout)
        assert sum(path.stat().st_size for path in (folder / "chat").glob("*.safetensors")) > size
    print(f"\n{size} bytes of a language model; growth of the peak by bytes of a file: {growth}")
    shutil.rmtree(folder)
    assert growth[1_000_000_000] > size
    assert growth[40_000_000] < size / 2
