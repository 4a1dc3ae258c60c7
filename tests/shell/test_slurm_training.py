"""Training in a real slurm: started by srun, stopped in the middle, queued again, and as good as one never stopped."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest
import yaml

from tests.shell.checkout import ROOT
from tests.tiny_run import color_rows, read_losses, write_meta, write_tiny_scratch
from tests.tiny_slurm import Slurm

pytestmark = pytest.mark.slow
STEPS = 200
# The false GPUs of the nodes would hide real ones, and the port of two runs at a time would be the same.
RESOURCES = {"CPUS_PER_TASK": "1", "SRUN_ARGS": "--gres=none --time=5"}


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four rows per step, two of each task, long enough to be stopped on the way."""
    folder = tmp_path_factory.mktemp("recipe")
    values = {
        "model": {"pretrained": str(write_tiny_scratch(folder / "model"))},
        "data": {"meta_path": str(write_meta(folder / "rows", color_rows(folder / "rows"))), "num_workers": 0},
        "optim": {"learning_rate": 3e-3},
        "batch_size": 4,
        "per_device_batch_size": 2,
        "max_steps": STEPS,
        "save_steps": STEPS,
    }
    (folder / "tiny.yaml").write_text(yaml.safe_dump(values))
    return folder / "tiny.yaml"


def train(slurm: Slurm, recipe: Path, folder: Path, **variables: str) -> str:
    """What `sh shell/finetune.sh` printed; the run is in `folder`."""
    own = {**RESOURCES, "INTERNVL_PYTHON": sys.executable, "OUTPUT_DIR": str(folder), **variables}
    done = slurm.run("sh", ROOT / "shell" / "finetune.sh", recipe, timeout=280, **own)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope="module")
def undisturbed(slurm: Slurm, recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of one node with two tasks."""
    folder = tmp_path_factory.mktemp("run") / "undisturbed"
    output = train(slurm, recipe, folder, GPUS="2")
    assert "2 devices x 1 forward passes" in output
    assert output in (folder / "training_log.txt").read_text()
    assert len(read_losses(folder)) == STEPS
    return folder


def read_export(folder: Path) -> bytes:
    return (folder / "export" / "model.safetensors").read_bytes()


# Two nodes train what one does, too.
@pytest.mark.parametrize(("nodes", "per_node"), [("1", "2"), ("2", "1")])
def test_a_job_that_is_stopped_and_queued_again_trains_the_same(
    slurm: Slurm, recipe: Path, undisturbed: Path, tmp_path: Path, nodes: str, per_node: str
) -> None:
    folder = tmp_path / "run"
    job = submit(slurm, recipe, folder, NODES=nodes, GPUS_PER_NODE=per_node)
    wait_for_step(slurm, job, folder)
    slurm.read("scancel", "--signal=USR1", job)
    fields = slurm.wait(job, "COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", seconds=240)
    log = (folder / "training_log.txt").read_text()
    assert (fields["JobState"], fields["Restarts"], fields["ExitCode"]) == ("COMPLETED", "1", "0:0"), log[-2000:]
    assert log.count("exported: ") == 1
    assert log.count(f"step {STEPS}/{STEPS} ") == 1
    assert read_export(folder) == read_export(undisturbed)
    assert read_losses(folder) == read_losses(undisturbed)


def test_a_cancelled_job_saves_and_stays_cancelled(slurm: Slurm, recipe: Path, tmp_path: Path) -> None:
    job = submit(slurm, recipe, tmp_path / "run", GPUS="2")
    wait_for_step(slurm, job, tmp_path / "run")
    slurm.read("scancel", job)
    fields = slurm.wait(job, "CANCELLED", "COMPLETED", "FAILED", "PENDING")
    assert (fields["JobState"], fields["Restarts"]) == ("CANCELLED", "0")
    assert list((tmp_path / "run" / "checkpoints").glob("step-*"))


def test_a_preempted_job_goes_on_where_it_was(slurm: Slurm, recipe: Path, undisturbed: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    job = submit(slurm, recipe, folder, GPUS="2", SBATCH_ARGS="--parsable --gres=none --exclusive --nodelist=n2")
    wait_for_step(slurm, job, folder)
    slurm.read("srun", "--partition=urgent", "--nodelist=n2", "--exclusive", "--time=1", "true")
    fields = slurm.wait(job, "COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", seconds=240)
    assert (fields["JobState"], fields["Restarts"]) == ("COMPLETED", "1")
    assert (folder / "training_log.txt").read_text().count("going on from ") == 1
    assert read_export(folder) == read_export(undisturbed)


def submit(slurm: Slurm, recipe: Path, folder: Path, **variables: str) -> str:
    """The number of a job that was submitted."""
    given = {"SUBMIT": "1", "SBATCH_ARGS": "--parsable --gres=none --time=5", **variables}
    return train(slurm, recipe, folder, **given).strip()


def wait_for_step(slurm: Slurm, job: str, folder: Path, seconds: float = 120) -> None:
    """Until a job has made a tenth of its steps."""
    end = time.monotonic() + seconds
    log = folder / "training_log.txt"
    while not (log.exists() and f"step {STEPS // 10}/{STEPS} " in log.read_text()):
        state = slurm.describe(job)["JobState"]
        is_going = state in ("PENDING", "CONFIGURING", "RUNNING") and time.monotonic() < end
        assert is_going, f"{state} {log.read_text()[-2000:] if log.exists() else ''}"
        time.sleep(0.1)
