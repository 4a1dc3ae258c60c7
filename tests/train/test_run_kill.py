"""A real training process that is killed in the middle: the same command ends as if nothing had happened."""

from __future__ import annotations

import contextlib
import os
import random
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.tiny_run import (
    BAD_ROWS,
    mixed_rows,
    read_bad,
    record_samples,
    start_process,
    train_here,
    write_arguments,
    write_bad_files,
    write_meta,
)
from tests.warm import WarmProcess
from train.state import find_states

pytestmark = pytest.mark.slow

NUM_STEPS = 40
Steps = dict[int, list[tuple[int, ...]]]
OPTIONS = {
    "batch_size": 8,
    "max_steps": NUM_STEPS,
    "save_steps": 3,
    "data.num_workers": 2,
    "data.max_packed_tokens": 300,
    "data.max_seq_length": 200,
    "data.max_num_frame": 8,
    "data.max_bad_share": 0.1,
}


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """As in the processes: sums of several threads may differ in their last bit."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """250 rows of every kind, two of them bad, of which an undisturbed run takes more than one epoch."""
    folder = tmp_path_factory.mktemp("mixed")
    rows = mixed_rows(folder, 250)
    write_bad_files(folder)
    for place, kind in ((11, "a lost picture"), (100, "a broken picture")):
        rows[place] = BAD_ROWS[kind].row
    return write_meta(folder, rows, data_augment=True)


@pytest.fixture(scope="module")
def undisturbed(checkpoint: Path, mixed: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Steps]:
    """The run folder and the samples of a run that nobody stops."""
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    with record_samples() as seen:
        train_here(write_arguments(checkpoint, mixed, folder, **OPTIONS))
    assert sorted(seen) == list(range(NUM_STEPS))
    return folder, dict(seen)


def kill(arguments: list[str], step: int) -> int:
    """Start a run, and kill its process some moments after this step; the step that it began with."""
    first = 0
    with WarmProcess("train", *arguments, start_new_session=True) as process:
        for line in process.stdout:
            if line.startswith("step "):
                first = first or int(line.split()[1].split("/")[0])
            if line.startswith(f"step {step}/"):
                time.sleep(random.uniform(0, 0.1))
                os.kill(process.pid, signal.SIGKILL)
                break
        process.wait()
        end_group(process.pid)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL, errors
    return first


def end_group(number: int) -> None:
    """End what is left of a session that was started here."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(number, signal.SIGKILL)


def read_export(folder: Path) -> bytes:
    return (folder / "export" / "model.safetensors").read_bytes()


def assert_same_list(folder: Path, other: Path) -> None:
    """Each bad row once; their order is that in which workers met them."""
    one, two = (sorted(bad["line"] for bad in read_bad(path)) for path in (folder, other))
    assert one == two == [12, 101]


def test_a_run_that_is_killed_again_and_again_ends_with_the_bytes_of_an_undisturbed_one(
    checkpoint, mixed, undisturbed, tmp_path
):
    folder, samples = undisturbed
    arguments = write_arguments(checkpoint, mixed, tmp_path, **OPTIONS)
    # Before the first checkpoint, in the first epoch, and in the second one.
    saved: list[int] = []
    for step in (1, random.randrange(7, 25), random.randrange(33, 38)):
        assert kill(arguments, step) == max(saved, default=0) + 1
        assert not (tmp_path / "export").exists()
        saved = [number for number, _ in find_states(tmp_path / "checkpoints")]
        # What was saved is not done again.
        assert step // 3 * 3 <= max(saved, default=0) + 3
    with record_samples() as seen:
        output = train_here(arguments)
    begin = min(seen)
    assert begin == max(saved)
    assert begin % 3 == 0
    # Nothing is left out.
    assert seen == {number: samples[number] for number in range(begin, NUM_STEPS)}, f"killed after step {step}"
    assert re.findall(r"^step (\d+)/", output, flags=re.MULTILINE) == [str(k) for k in range(begin + 1, NUM_STEPS + 1)]
    assert read_export(tmp_path) == read_export(folder)
    assert_same_list(tmp_path, folder)


def test_the_workers_of_a_killed_run_end_with_it(checkpoint, mixed, tmp_path):
    arguments = write_arguments(checkpoint, mixed, tmp_path, **OPTIONS)
    with start_process(*arguments, start_new_session=True) as process:
        try:
            assert any(line.startswith("step 2/") for line in process.stdout)
            os.kill(process.pid, signal.SIGKILL)
            # Ends when nobody holds the other end of the output any more.
            process.communicate(timeout=15)
        finally:
            end_group(process.pid)
