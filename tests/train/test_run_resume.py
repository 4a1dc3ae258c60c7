"""A training run that was stopped: the same command goes on, and ends as if nothing had happened."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
import torch

from tests.tiny_run import (
    VISION,
    Done,
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
from train.arguments import parse
from train.config import OptimConfig
from train.optim import cosine
from train.resume import find_start

Steps = dict[int, list[tuple[int, ...]]]


def steps(output: str) -> list[int]:
    """The steps of the printed lines."""
    return [int(number) for number in re.findall(r"^step (\d+)/", output, flags=re.MULTILINE)]


def stop_after(run: Path, step: int, folder: Path) -> Path:
    """A run folder as a machine leaves it that stops after this step's checkpoint."""
    shutil.copytree(run / "checkpoints" / f"step-{step}", folder / "checkpoints" / f"step-{step}")
    shutil.copy(run / "config.yaml", folder)
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
    assert f"run folder: {folder}, going on from {folder}/checkpoints/step-{step}\n" in output
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


def test_a_finished_run_exports_again(finished_run, tmp_path):
    folder = stop_after(finished_run.folder, 30, tmp_path / "run")
    go_on(finished_run, folder)
    (folder / "export" / "stale.txt").touch()
    done = run_here([*finished_run.arguments, f"--output_dir={folder}"])
    assert (done.code, done.errors) == (0, "")
    assert steps(done.output) == []
    assert done.output.endswith(f"exported: {folder}/export\n")
    assert not (folder / "export" / "stale.txt").exists()
    assert_same_weights(folder, finished_run.folder)
    # And from another folder.
    start = folder / "checkpoints" / "step-30"
    output = go_on(finished_run, tmp_path / "other", resume_from=start)
    assert f"run folder: {tmp_path}/other, going on from {start}\n" in output
    assert output.endswith(f"exported: {tmp_path}/other/export\n")
    assert_same_weights(tmp_path / "other", finished_run.folder)


def test_a_finished_run_can_be_made_longer(finished_run, tmp_path):
    folder = stop_after(finished_run.folder, 30, tmp_path / "run")
    done = run_here([*finished_run.arguments, f"--output_dir={folder}", "--max_steps=33"])
    # Its learning rates are others.
    assert_refused(done, "steps 30, got 33")
    output = go_on(finished_run, folder, max_steps=33, accept_changes="true")
    assert "\nchanged: steps 30, got 33\n" in output
    assert steps(output) == [31, 32, 33]
    assert list(read_scalars(folder)["epoch"].values()) == pytest.approx([6.0, 6.2, 6.4])  # 4 of 20 rows a step


def assert_refused(done: Done, changes: str) -> None:
    assert done.code == 2
    assert done.errors == (
        f"error: resume: expected the options of the checkpoint, {changes}; restore them, start anew with --overwrite "
        "true, or go on with the new ones with --accept_changes true\n"
    )


def test_a_run_goes_on_with_other_options_only_if_they_are_accepted(finished_run, tmp_path):
    folder = stop_after(finished_run.folder, 10, tmp_path / "run")
    before = (folder / "config.yaml").read_bytes()
    words = [*finished_run.arguments, f"--output_dir={folder}"]
    other = ["--optim.learning_rate=0.001", "--model.freeze_mlp=true"]
    for way in ([], ["--dry_run=true"]):
        done = run_here([*words, *other, *way])
        assert_refused(done, "model.freeze_mlp False, got True; optim.learning_rate 0.003, got 0.001")
        assert steps(done.output) == []
    assert (folder / "config.yaml").read_bytes() == before
    assert sorted(path.name for path in (folder / "checkpoints").iterdir()) == ["step-10"]
    output = go_on(finished_run, folder, **{"optim.learning_rate": 0.001}, accept_changes="true")
    assert "\nchanged: optim.learning_rate 0.003, got 0.001\n" in output
    assert steps(output) == list(range(11, 31))
    factor = cosine(OptimConfig(), 30)
    expected = {step: 0.001 * factor(step) for step in range(10, 30)}
    assert read_scalars(folder)["train/learning_rate"] == pytest.approx(expected)
    assert parse(["--config", str(folder / "config.yaml")]).optim.learning_rate == 0.001
    # From now on these are its options.
    done = run_here([*words, "--max_steps=30"])
    assert_refused(done, "optim.learning_rate 0.001, got 0.003")


def test_a_run_goes_on_with_other_groups_of_parameters_if_they_are_accepted(finished_run, tmp_path):
    folder = stop_after(finished_run.folder, 20, tmp_path / "run")
    options = {"optim.decay": "matrices", "optim.vision_learning_rate": 1e-3, "accept_changes": "true"}
    output = go_on(finished_run, folder, **options)
    assert "\nchanged: optim.vision_learning_rate None, got 0.001\nchanged: optim.decay all, got matrices\n" in output
    assert steps(output) == list(range(21, 31))
    curves = read_scalars(folder)
    # Every parameter is where it was.
    assert curves["train/loss"][20] == read_scalars(finished_run.folder)["train/loss"][20]
    factor = cosine(OptimConfig(), 30)
    assert curves["learning_rate/vision"] == pytest.approx({step: 1e-3 * factor(step) for step in range(20, 30)})


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
    config = parse([*finished_run.arguments, f"--output_dir={tmp_path}/run"])
    folder = stop_after(finished_run.folder, 10, tmp_path / "run") / "checkpoints"
    assert find_start(config) == folder / "step-10"
    shutil.copytree(folder / "step-10", folder / "step-9")
    assert find_start(config) == folder / "step-10"
    shutil.copytree(folder / "step-10", folder / "step-200")
    assert find_start(config) == folder / "step-200"
    # A kill while it was written, one that was kept apart, and a copy that was cut off before its end.
    shutil.copytree(folder / "step-10", folder / ".step-400.partial")
    shutil.copytree(folder / "step-10", folder / "step-500.good")
    shutil.copytree(folder / "step-10", folder / "step-3000", ignore=shutil.ignore_patterns("checkpoint.json"))
    assert find_start(config) == folder / "step-200"


@pytest.mark.parametrize("name", ["part-00000-000.safetensors", "loops.pt", "checkpoint.json"])
def test_a_checkpoint_that_was_cut_off_is_named(name, finished_run, tmp_path):
    folder = stop_after(finished_run.folder, 10, tmp_path / "run")
    shutil.copytree(finished_run.folder / "checkpoints" / "step-20", folder / "checkpoints" / "step-20")
    file = folder / "checkpoints" / "step-20" / name
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    done = run_here([*finished_run.arguments, f"--output_dir={folder}"])
    assert done.code == 2
    assert done.errors.startswith(
        f"error: checkpoint: expected a whole training checkpoint in {folder}/checkpoints/step-20, got "
    )
    assert done.errors.endswith("; delete the folder, and the run goes on from the one before\n")
    assert done.errors.count("\n") == 1
    shutil.rmtree(folder / "checkpoints" / "step-20")
    assert steps(go_on(finished_run, folder)) == list(range(11, 31))


def test_there_is_no_checkpoint_in_a_new_folder(finished_run, tmp_path):
    assert find_start(parse([*finished_run.arguments, f"--output_dir={tmp_path}/new"])) is None
