"""A training run that was stopped: the same command goes on, and ends as if nothing had happened."""

from __future__ import annotations

import os
import re
import shutil
import signal
from pathlib import Path

import pytest
import torch

from tests.tiny_run import read_scalars, read_weights, run_here, start_process, train_here, write_arguments
from train.run import _find_checkpoint

# Lightning notices that the folder or the interval of the checkpoint is another one; here they are on purpose.
pytestmark = pytest.mark.filterwarnings("ignore:The dirpath has changed", "ignore:Be aware that when using `ckpt_path`")


def steps(output: str) -> list[int]:
    """The steps of the printed lines."""
    return [int(number) for number in re.findall(r"^step (\d+)/", output, flags=re.MULTILINE)]


def stop_after(run: Path, step: int, folder: Path) -> Path:
    """A run folder as a machine leaves it that stops after this step's checkpoint."""
    (folder / "checkpoints").mkdir(parents=True)
    shutil.copy(run / "checkpoints" / f"step-{step}.ckpt", folder / "checkpoints")
    (folder / "checkpoints" / "last.ckpt").symlink_to(f"step-{step}.ckpt")
    return folder


def go_on(finished_run, folder: Path, **options: object) -> str:
    """The command of the finished run in another folder."""
    words = [word for word in finished_run.arguments if not word.startswith("--output_dir")]
    return train_here([*words, f"--output_dir={folder}", *(f"--{name}={value}" for name, value in options.items())])


def assert_same_weights(run: Path, other: Path) -> None:
    one, two = read_weights(run), read_weights(other)
    assert one.keys() == two.keys()
    for name in one:
        torch.testing.assert_close(one[name], two[name], rtol=0, atol=1e-6)


# Before and behind the middle: Lightning counts the batches of an epoch, and here the run is one epoch.
@pytest.mark.parametrize("step", [10, 20])
def test_a_stopped_run_ends_with_the_weights_of_an_undisturbed_one(step, finished_run, tmp_path):
    folder = stop_after(finished_run.folder, step, tmp_path / "run")
    output = go_on(finished_run, folder)
    assert f"run folder: {folder}, going on from {folder}/checkpoints/step-{step}.ckpt" in output
    assert steps(output) == list(range(step + 1, 31))
    assert_same_weights(folder, finished_run.folder)
    whole, rest = (read_scalars(path)["train/loss"] for path in (finished_run.folder, folder))
    assert rest == {number: whole[number] for number in range(step, 30)}


def test_a_run_that_goes_on_with_other_forward_passes_sees_the_samples_that_are_left(finished_run, tmp_path):
    folder = stop_after(finished_run.folder, 10, tmp_path / "run")
    go_on(finished_run, folder, per_device_batch_size=2, max_steps=30, save_steps=15)
    # From here on with four times as many samples per pass as needed for a step of one.
    for pace in (1, 4):
        again = stop_after(folder, 15, tmp_path / str(pace))
        output = go_on(finished_run, again, per_device_batch_size=pace)
        assert steps(output) == list(range(16, 31))
        whole, rest = (read_scalars(path)["train/gradient_norm"] for path in (finished_run.folder, again))
        assert list(rest) == list(range(15, 30))
        assert list(rest.values()) == pytest.approx([whole[number] for number in rest], rel=2e-2)


@pytest.mark.slow
def test_a_killed_process_goes_on_where_its_last_checkpoint_was(checkpoint, meta, tmp_path):
    options = {"max_steps": 60, "save_steps": 4}
    killed = write_arguments(checkpoint, meta, tmp_path / "killed", **options)
    with start_process(*killed) as process:
        for line in process.stdout:
            if line.startswith("step 11/"):
                os.kill(process.pid, signal.SIGKILL)
                break
        process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert not (tmp_path / "killed" / "export").exists()
    output = train_here(killed)
    begin = steps(output)[0]
    assert 9 <= begin < 60
    assert begin % 4 == 1
    assert steps(output) == list(range(begin, 61))
    train_here(write_arguments(checkpoint, meta, tmp_path / "whole", **options))
    assert_same_weights(tmp_path / "killed", tmp_path / "whole")


def test_a_run_that_was_stopped_before_its_export_still_exports(finished_run, tmp_path):
    folder = stop_after(finished_run.folder, 30, tmp_path / "run")
    output = go_on(finished_run, folder)
    assert steps(output) == []
    assert output.endswith(f"exported: {folder}/export\n")
    assert_same_weights(folder, finished_run.folder)


def test_a_finished_run_can_be_made_longer(finished_run, tmp_path):
    folder = stop_after(finished_run.folder, 30, tmp_path / "run")
    assert steps(go_on(finished_run, folder, max_steps=33)) == [31, 32, 33]
    assert list(read_scalars(folder)["epoch"].values()) == pytest.approx([6.0, 6.2, 6.4])  # 4 of 20 rows a step


def test_overwrite_begins_anew(checkpoint, meta, tmp_path):
    arguments = write_arguments(checkpoint, meta, tmp_path, max_steps=4, save_steps=2)
    first = train_here(arguments)
    (tmp_path / "export" / "stale.txt").touch()
    (tmp_path / "notes.txt").touch()
    assert steps(train_here(arguments)) == []
    again = train_here([*arguments, "--overwrite=true"])
    assert steps(again) == steps(first) == [1, 2, 3, 4]
    assert "going on" not in again
    assert list(read_scalars(tmp_path)["train/loss"]) == [0, 1, 2, 3]
    assert len(list((tmp_path / "tensorboard").glob("events.*"))) == 1
    assert not (tmp_path / "export" / "stale.txt").exists()
    assert (tmp_path / "notes.txt").exists()


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--seed=1", r"\(seed 42\), got 1;"),
        ("--batch_size=8", r"\(batch_size 4\), got 8;"),
    ],
)
def test_a_run_does_not_go_on_with_another_order(option, message, finished_run, tmp_path):
    folder = stop_after(finished_run.folder, 10, tmp_path / "run")
    done = run_here([*finished_run.arguments, f"--output_dir={folder}", option])
    assert done.code == 2
    assert re.match(rf"error: resume: expected the data of the checkpoint {message} restore it or start", done.errors)
    assert done.errors.count("\n") == 1


def test_the_newest_whole_checkpoint_is_taken(finished_run, tmp_path):
    folder = stop_after(finished_run.folder, 10, tmp_path / "run") / "checkpoints"
    assert _find_checkpoint(folder) == folder / "step-10.ckpt"
    content = (folder / "step-10.ckpt").read_bytes()
    (folder / "step-9.ckpt").write_bytes(content)
    assert _find_checkpoint(folder) == folder / "step-10.ckpt"
    (folder / "step-200.ckpt").write_bytes(content)
    assert _find_checkpoint(folder) == folder / "step-200.ckpt"
    # A copy between file systems that was cut off.
    (folder / "step-3000.ckpt").write_bytes(content[: len(content) // 2])
    assert _find_checkpoint(folder) == folder / "step-200.ckpt"
    # A kill after the old checkpoint was removed and before the link was set anew.
    (folder / "last.ckpt").unlink()
    (folder / "last.ckpt").symlink_to("step-100.ckpt")
    assert _find_checkpoint(folder) == folder / "step-200.ckpt"


def test_there_is_no_checkpoint_in_a_new_folder(tmp_path):
    assert _find_checkpoint(tmp_path / "checkpoints") is None
