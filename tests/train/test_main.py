"""`python -m train`: every mistake ends with one line that names it and exit code 2, as early as it can be known."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.tiny_run import (
    LANGUAGE,
    ROOT,
    Done,
    color_rows,
    make_row,
    run_here,
    run_process,
    write_arguments,
    write_meta,
    write_tiny_scratch,
)
from train import __main__
from train.order import RunOrder


def assert_explained(done: Done, start: str) -> None:
    """One line on the standard error stream, and nothing of Python in it."""
    assert done.code == 2
    assert done.errors.startswith(f"error: {start}"), done.errors
    assert done.errors.count("\n") == 1
    assert done.errors.endswith("\n")
    assert "Traceback" not in done.errors + done.output


def write_rows_with(folder: Path, row: dict[str, Any]) -> Path:
    """Seven good rows and this one as the last."""
    rows = color_rows(folder, 7)
    (folder / "text.png").write_text("no picture")
    return write_meta(folder, [*rows, row])


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"image": "0.png"}, "expected `conversations`, a list of turns, got the keys image; see docs/data-format.md"),
        (make_row("<image>\nWhat?", "red", image="lost.png"), "expected the picture {folder}/lost.png, which does not"),
        (make_row("<image><image>", "red", image="0.png"), "expected one picture per <image> slot, got 1 pictures for"),
        (make_row("<image>", "red", image=["0.png", "1.png"]), "expected one picture per <image> slot, got 2 pictures"),
    ],
)
def test_a_wrong_row_is_named_before_anything_is_written(row, message, checkpoint, tmp_path):
    meta = write_rows_with(tmp_path / "data", row)
    done = run_here(write_arguments(checkpoint, meta, tmp_path / "run"))
    assert_explained(done, f"{tmp_path}/data/rows.jsonl:8: {message.format(folder=tmp_path / 'data')}")
    assert done.output == ""
    assert not (tmp_path / "run").exists()


def test_a_picture_that_is_none_ends_the_process_when_its_row_comes(checkpoint, tmp_path):
    meta = write_rows_with(tmp_path, make_row("<image>\nWhat?", "red", image="text.png"))
    done = run_process(*write_arguments(checkpoint, meta, tmp_path / "run", **{"data.num_workers": 1}))
    assert_explained(done, f"{tmp_path}/rows.jsonl:8: picture: expected a readable picture, got {tmp_path}/text.png ")
    assert not (tmp_path / "run" / "export").exists()


def test_a_missing_picture_far_from_both_ends_ends_the_run_when_its_row_comes(checkpoint, tmp_path):
    rows = [make_row(f"What color is {number}?", "red") for number in range(2200)]
    order = (sample for batch in RunOrder(2200, 50, 4, 4, seed=42) for sample in batch)
    place = next(sample for sample in order if 1000 <= sample < 1200)
    rows[place] = make_row("<image>\nWhat?", "red", image="lost.png")
    meta = write_meta(tmp_path, rows)
    done = run_here(write_arguments(checkpoint, meta, tmp_path / "run", max_steps=50))
    assert_explained(done, f"{tmp_path}/rows.jsonl:{place + 1}: picture: expected a file, got {tmp_path}/lost.png, ")


def test_a_row_longer_than_the_limit_is_named(checkpoint, tmp_path):
    meta = write_meta(tmp_path, color_rows(tmp_path, 1))
    done = run_here(write_arguments(checkpoint, meta, tmp_path / "run", **{"data.max_seq_length": 8}))
    assert_explained(done, f"{tmp_path}/rows.jsonl:1: length: expected at most 8 tokens, got ")


def test_an_empty_data_set_is_named(checkpoint, tmp_path):
    meta = write_meta(tmp_path, "\n")
    done = run_here(write_arguments(checkpoint, meta, tmp_path / "run"))
    assert_explained(done, f"{tmp_path}/rows.jsonl: expected at least one row, got an empty file; ")


def test_a_missing_meta_file_is_named(checkpoint, tmp_path):
    done = run_here(write_arguments(checkpoint, tmp_path / "lost.json", tmp_path / "run"))
    assert_explained(done, f"data.meta_path: expected a JSON file, got {tmp_path}/lost.json, which does not exist; ")


def test_a_missing_checkpoint_is_answered_without_torch(meta, tmp_path):
    arguments = write_arguments(tmp_path / "lost", meta, tmp_path / "run")
    code = f"import sys\nfrom train.__main__ import main\nprint(main({arguments}), 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout == "2 False\n"
    assert done.stderr.startswith(f"error: checkpoint: expected a folder, got {tmp_path}/lost, which does not exist; ")


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer_config.json"])
def test_an_incomplete_checkpoint_is_named(name, checkpoint, meta, tmp_path):
    shutil.copytree(checkpoint, tmp_path / "model")
    (tmp_path / "model" / name).unlink()
    done = run_here(write_arguments(tmp_path / "model", meta, tmp_path / "run"))
    assert_explained(done, f"checkpoint: expected {name} in {tmp_path}/model, got none; the folder is incomplete, ")


def test_a_checkpoint_without_tokenizer_is_named(checkpoint, meta, tmp_path):
    shutil.copytree(checkpoint, tmp_path / "model")
    (tmp_path / "model" / "tokenizer.json").unlink()
    done = run_here(write_arguments(tmp_path / "model", meta, tmp_path / "run"))
    assert_explained(done, "tokenizer: expected ")


def test_weights_that_were_cut_off_are_named(checkpoint, meta, tmp_path):
    shutil.copytree(checkpoint, tmp_path / "model")
    weights = tmp_path / "model" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    done = run_here(write_arguments(tmp_path / "model", meta, tmp_path / "run"))
    assert_explained(done, f"checkpoint: expected readable weights in {tmp_path}/model, got ")


def test_weights_of_another_model_are_named_in_one_line(checkpoint, meta, tmp_path, caplog):
    shutil.copytree(checkpoint, tmp_path / "model")
    deeper = write_tiny_scratch(tmp_path / "deeper", language={**LANGUAGE, "num_hidden_layers": 2})
    shutil.copy(deeper / "model.safetensors", tmp_path / "model")
    done = run_here(write_arguments(tmp_path / "model", meta, tmp_path / "run"))
    assert_explained(done, f"checkpoint: expected exactly the model's tensors in {tmp_path}/model, got ")
    assert "language_model.model.layers.1." in done.errors
    assert caplog.text == ""


def test_an_unknown_template_is_named(checkpoint, meta, tmp_path):
    done = run_here(write_arguments(checkpoint, meta, tmp_path / "run", **{"model.conv_style": "Hermes"}))
    assert_explained(done, "chat template: expected a known name, got 'Hermes'; try Hermes-2")


def test_a_template_that_the_tokenizer_does_not_know_is_named(checkpoint, meta, tmp_path):
    done = run_here(write_arguments(checkpoint, meta, tmp_path / "run", **{"model.conv_style": "phi3-chat"}))
    assert_explained(done, "tokenizer: expected the token <|end|> that chat template phi3-chat needs, got none; ")


def test_limits_of_tiles_that_contradict_are_named(checkpoint, meta, tmp_path):
    limits = {"data.min_dynamic_patch": 7, "data.max_dynamic_patch": 6}
    done = run_here(write_arguments(checkpoint, meta, tmp_path / "run", **limits))
    assert_explained(done, "tiles: expected 1 <= min_dynamic_patch <= max_dynamic_patch, got 7 and 6; ")


def test_everything_frozen_is_named(checkpoint, meta, tmp_path):
    frozen = {f"model.freeze_{part}": "true" for part in ("backbone", "mlp", "llm")}
    done = run_here(write_arguments(checkpoint, meta, tmp_path / "run", **frozen))
    assert_explained(done, "model: expected at least one trainable part, got all frozen; ")


def test_mistakes_of_the_program_are_not_hidden(checkpoint, meta, tmp_path, monkeypatch):
    def fail(config):
        raise ValueError("a bug")

    monkeypatch.setattr("train.run.fit", fail)
    with pytest.raises(ValueError, match="a bug"):
        __main__.main(write_arguments(checkpoint, meta, tmp_path / "run"))


def test_help_ends_well(capsys):
    with pytest.raises(SystemExit) as end:
        __main__.main(["--help"])
    assert end.value.code == 0
    assert "python -m train" in capsys.readouterr().out
