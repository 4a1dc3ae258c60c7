"""A training run that was stopped: the same command goes on, and ends as if nothing had happened."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
import torch

from tests.tiny_run import (
    VISION,
    FinishedRun,
    mixed_rows,
    read_scalars,
    read_weights,
    record_samples,
    run_here,
    train_here,
    write_arguments,
    write_meta,
    write_tiny_scratch,
)
from train.run import _find_checkpoint

# Lightning notices that the folder or the interval of the checkpoint is another one; here they are on purpose.
pytestmark = pytest.mark.filterwarnings("ignore:The dirpath has changed", "ignore:Be aware that when using `ckpt_path`")

Steps = dict[int, list[tuple[int, ...]]]


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


@pytest.fixture(scope="module")
def mixed_run(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[FinishedRun, Steps]:
    """Twelve steps of eight rows of every kind, with a checkpoint every four, and their samples."""
    folder = tmp_path_factory.mktemp("mixed")
    meta = write_meta(folder, mixed_rows(folder), data_augment=True)
    options = {"batch_size": 8, "max_steps": 12, "save_steps": 4, "save_total_limit": 9, "data.max_seq_length": 200}
    arguments = write_arguments(checkpoint, meta, folder / "run", **options)
    with record_samples() as seen:
        output = train_here(arguments)
    return FinishedRun(folder / "run", arguments, output, meta), dict(seen)


OTHER_BATCHES = {
    "workers": {"data.num_workers": 2},
    "more packs": {"data.max_packed_tokens": 260, "data.max_packed_tiles": 32},
    "padding": {"data.packing": "false", "per_device_batch_size": 2},
    "padding by length": {"data.packing": "false", "per_device_batch_size": 4, "data.group_by_length": "true"},
}


@pytest.mark.parametrize("step", [4, 8])
@pytest.mark.parametrize("way", OTHER_BATCHES)
def test_a_run_goes_on_with_other_batches_and_the_samples_that_are_left(way, step, mixed_run, tmp_path):
    run, samples = mixed_run
    folder = stop_after(run.folder, step, tmp_path / "run")
    with record_samples() as seen:
        output = go_on(run, folder, **OTHER_BATCHES[way])
    assert steps(output) == list(range(step + 1, 13))
    assert seen == {number: samples[number] for number in range(step, 12)}
    whole, rest = (read_scalars(path)["train/loss"] for path in (run.folder, folder))
    assert rest == pytest.approx({number: whole[number] for number in range(step, 12)}, rel=1e-5)


def test_a_run_that_went_on_with_padding_goes_on_with_packs_again(mixed_run, tmp_path):
    run, samples = mixed_run
    padded = stop_after(run.folder, 4, tmp_path / "padded")
    go_on(run, padded, **OTHER_BATCHES["padding"])
    folder = stop_after(padded, 8, tmp_path / "packed")
    with record_samples() as seen:
        assert steps(go_on(run, folder)) == [9, 10, 11, 12]
    assert seen == {number: samples[number] for number in range(8, 12)}
    whole, rest = (read_scalars(path)["train/loss"] for path in (run.folder, folder))
    assert rest == pytest.approx({number: whole[number] for number in range(8, 12)}, rel=1e-5)


def test_a_stopped_run_drops_the_paths_that_it_would_have_dropped(meta, tmp_path):
    deep = write_tiny_scratch(tmp_path / "deep", vision={**VISION, "num_hidden_layers": 4})
    options = {"model.drop_path_rate": 0.5, "max_steps": 8, "save_steps": 4, "save_total_limit": 2}
    whole = write_arguments(deep, meta, tmp_path / "whole", **options, per_device_batch_size=2)
    train_here([*whole, "--data.packing=false"])
    folder = stop_after(tmp_path / "whole", 4, tmp_path / "rest")
    train_here([*whole, "--data.packing=false", f"--output_dir={folder}"])
    assert_same_weights(folder, tmp_path / "whole")
    curves = [read_scalars(path)["train/loss"] for path in (tmp_path / "whole", folder)]
    assert curves[1] == {step: curves[0][step] for step in range(4, 8)}
    train_here([*whole, "--data.packing=false", f"--output_dir={tmp_path / 'none'}", "--model.drop_path_rate=0"])
    assert read_scalars(tmp_path / "none")["train/loss"] != curves[0]


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
        ("--seed=1", r"\(mixture [0-9a-f]{16}\), got [0-9a-f]{16};"),
        ("--batch_size=8", r"\(batch_size 4\), got 8;"),
        ("--data.meta_path={folder}/other.json", r"\(mixture [0-9a-f]{16}\), got [0-9a-f]{16};"),
    ],
)
def test_a_run_does_not_go_on_with_another_order(option, message, finished_run, tmp_path):
    folder = stop_after(finished_run.folder, 10, tmp_path / "run")
    rows = (finished_run.meta.parent / "rows.jsonl").read_text().replace("picture 7?", "picture 8?")
    write_meta(tmp_path, rows, "other", root=str(finished_run.meta.parent))
    done = run_here([*finished_run.arguments, f"--output_dir={folder}", option.format(folder=tmp_path)])
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
