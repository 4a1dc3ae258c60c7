"""shell/finetune.sh while it runs: the log, the exit code, the signals, a terminal."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

from tests.shell.checkout import BATCH, Checkout


def test_output_goes_to_the_log_too_and_the_exit_code_stays(checkout: Checkout) -> None:
    for code in (7, 0):
        done = checkout.run(BEHAVIOR=f"echo out; echo err >&2; exit {code}")
        assert (done.returncode, done.stdout) == (code, "out\nerr\n")
    assert (checkout.root / "runs" / "mine" / "training_log.txt").read_text() == "out\nerr\n" * 2


@pytest.mark.parametrize(
    ("arguments", "variables", "folder"),
    [
        ([], {"OUTPUT_DIR": "here"}, "here"),
        (["--output_dir", "a b"], {"OUTPUT_DIR": "here"}, "a b"),
        (["--output_dir=x=y"], {}, "x=y"),
    ],
)
def test_the_log_is_in_the_run_folder(
    checkout: Checkout, arguments: list[str], variables: dict[str, str], folder: str
) -> None:
    checkout.run("my recipe.yaml", *arguments, **variables, BEHAVIOR="echo out")
    assert (checkout.root / folder / "training_log.txt").read_text() == "out\n"


def test_the_run_folder_has_the_name_of_a_recipe_that_names_none(checkout: Checkout) -> None:
    (checkout.caller / "bare.yaml").write_text("model:\n  output_dir: no\n")
    assert checkout.words("bare.yaml")[-2:] == ["--output_dir", "work_dirs/bare"]
    assert (checkout.root / "work_dirs" / "bare" / "training_log.txt").is_file()


@pytest.mark.parametrize(
    ("launcher", "variables", "sent", "expected"),
    [
        ("plain", {}, "TERM", "TERM"), ("plain", {}, "USR1", "USR1"), ("plain", {}, "INT", "TERM"),
        ("slurm", {}, "TERM", "USR1"), ("slurm", {}, "USR1", "USR1"), ("slurm", {}, "INT", "USR1"),
        ("slurm", BATCH, "USR1", "USR1"), ("pytorch", {}, "USR1", "TERM"), ("pytorch", {}, "TERM", "TERM"),
    ],
)  # fmt: skip
def test_signals_reach_the_training(
    cluster: Checkout, launcher: str, variables: dict[str, str], sent: str, expected: str
) -> None:
    behavior = f"trap 'echo GOT {expected}; sleep 0.3; echo saved; exit 9' {expected}; echo ready; "
    behavior += "while :; do sleep 0.05; done"
    process = start(cluster, behavior, LAUNCHER=launcher, **variables)
    process.send_signal(getattr(signal, f"SIG{sent}"))
    output, errors = process.communicate(timeout=20)
    assert (process.returncode, output) == (9, f"GOT {expected}\nsaved\n"), errors
    log = (cluster.root / "runs" / "mine" / "training_log.txt").read_text()
    assert log == f"ready\nGOT {expected}\nsaved\n"


def test_slurm_itself_tells_the_tasks_of_a_batch_job_to_end(cluster: Checkout) -> None:
    behavior = "trap 'echo GOT' TERM USR1 INT; echo ready; for i in 1 2 3 4 5 6; do sleep 0.1; done; exit 4"
    process = start(cluster, behavior, LAUNCHER="slurm", **BATCH)
    process.send_signal(signal.SIGTERM)
    assert (process.communicate(timeout=20)[0], process.returncode) == ("", 4)


def start(checkout: Checkout, behavior: str, **variables: str) -> subprocess.Popen[str]:
    """Start a run, and return once it is ready."""
    process = subprocess.Popen(
        checkout.command("my recipe.yaml"),
        cwd=checkout.caller,
        env=checkout.environment(BEHAVIOR=behavior, GPUS="2", **variables),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.1)
    return process


def test_a_terminal_belongs_to_the_training(checkout: Checkout) -> None:
    code = "import pty, sys; sys.exit(pty.spawn(sys.argv[1:]) >> 8)"
    done = subprocess.run(
        [sys.executable, "-c", code, *checkout.command("my recipe.yaml")],
        cwd=checkout.caller,
        env=checkout.environment(BEHAVIOR="[ -t 1 ] && [ -t 2 ] && exit 6; exit 1"),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 6, done.stdout
    assert not (checkout.root / "runs" / "mine" / "training_log.txt").exists()
