"""`python -m train`: every mistake ends with one line that names it and exit code 2, as early as it can be known."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

from tests.tiny_run import (
    BAD_ROWS,
    LANGUAGE,
    ROOT,
    Done,
    color_rows,
    read_bad,
    run_here,
    run_process,
    write_arguments,
    write_bad_files,
    write_meta,
    write_tiny_scratch,
)
from train import __main__
from train.processes import is_first


def assert_explained(done: Done, start: str) -> None:
    """One line on the standard error stream, and nothing of Python in it."""
    assert done.code == 2
    assert done.errors.startswith(f"error: {start}"), done.errors
    assert done.errors.count("\n") == 1
    assert done.errors.endswith("\n")
    assert "Traceback" not in done.errors + done.output


@pytest.mark.parametrize("name", ["no conversations", "a lost picture", "a broken picture"])
def test_data_with_too_many_bad_rows_names_their_list(name, checkpoint, tmp_path):
    rows = color_rows(tmp_path, 7)
    write_bad_files(tmp_path)
    meta = write_meta(tmp_path, [*rows, BAD_ROWS[name].row])
    done = run_here(write_arguments(checkpoint, meta, tmp_path / "run"))
    assert_explained(done, "data: expected at most 1.00% bad samples (data.max_bad_share), got 1 of 8; correct what ")
    assert f" {tmp_path}/run/bad_samples.jsonl lists, or raise the share\n" in done.errors
    (bad,) = read_bad(tmp_path / "run")
    assert bad["line"] == 8
    assert not (tmp_path / "run" / "export").exists()


def test_an_unknown_choice_of_frames_is_named(checkpoint, meta, tmp_path):
    done = run_here(write_arguments(checkpoint, meta, tmp_path / "run", **{"data.frame_sampling": "all"}))
    assert_explained(
        done, "frame sampling: expected middle, rand, or fps and a number above 0 such as fps0.5, got 'all'"
    )


def test_bounds_of_frames_that_contradict_are_named(checkpoint, meta, tmp_path):
    options = {"data.min_num_frame": 9, "data.max_num_frame": 8}
    done = run_here(write_arguments(checkpoint, meta, tmp_path / "run", **options))
    assert_explained(done, "frames: expected 1 <= min_frames <= max_frames, got 9 and 8; ")


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


@pytest.mark.dist
@pytest.mark.slow
def test_processes_of_torchrun_say_a_mistake_once(checkpoint, tmp_path):
    write_bad_files(tmp_path)
    meta = write_meta(tmp_path, [*color_rows(tmp_path, 7), BAD_ROWS["a lost picture"].row])
    words = ["--standalone", "--nproc_per_node=2", "-m", "train"]
    options = {"devices": "auto"}
    done = run_process(
        *words, *write_arguments(checkpoint, meta, tmp_path / "run", **options), module="torch.distributed.run"
    )
    assert done.code != 0
    assert done.errors.count("error: data: expected at most 1.00% bad samples") == 1
    assert "local_rank: 0" in done.errors
    assert "exitcode  : 2 " in done.errors
    assert len(read_bad(tmp_path / "run")) == 1


def test_another_process_leaves_the_first_one_time_to_say_it(tmp_path, monkeypatch, capsys):
    said: list[str] = []
    monkeypatch.setattr("train.__main__.time.sleep", lambda seconds: said.append(capsys.readouterr().err))
    arguments = write_arguments(tmp_path / "lost", tmp_path / "rows.json", tmp_path / "run")
    for rank, waits in (("0", []), ("1", [""])):
        for name, value in (("RANK", rank), ("WORLD_SIZE", "2"), ("LOCAL_WORLD_SIZE", "2")):
            monkeypatch.setenv(name, value)
        assert __main__.main(arguments) == 2
        assert said == waits
        # What is wrong for it alone is not lost.
        assert capsys.readouterr().err.startswith("error: checkpoint: expected a folder, got ")


@pytest.mark.parametrize(
    ("environment", "speaks"),
    [
        ({}, True),
        ({"LOCAL_RANK": "1"}, False),
        ({"NODE_RANK": "1", "LOCAL_RANK": "0"}, False),
        ({"TORCHELASTIC_RUN_ID": "7", "RANK": "0", "LOCAL_RANK": "0"}, True),
        ({"TORCHELASTIC_RUN_ID": "7", "RANK": "8", "LOCAL_RANK": "0"}, False),
        ({"SLURM_STEP_ID": "0", "SLURM_PROCID": "0"}, True),
        ({"SLURM_STEP_ID": "0", "SLURM_PROCID": "3"}, False),
        # A batch script has no step.
        ({"SLURM_PROCID": "0", "LOCAL_RANK": "1"}, False),
    ],
)
def test_one_process_speaks(environment, speaks):
    assert is_first(environment) == speaks


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
