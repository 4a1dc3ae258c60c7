"""shell/finetune.sh: which command it starts, by dash and bash, where what is there; and what it refuses."""

from __future__ import annotations

import shlex
import subprocess

import pytest

from tests.shell.checkout import BATCH, PYTHON, RECIPE, Checkout, write_program

TRAIN = ["-u", "-m", "train", "--config", "RECIPE"]
STEP = {"SLURM_JOB_ID": "7", "SLURM_PROCID": "1", "SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "2"}
TORCHRUN = {"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1"}


def resources(per_node: int, nodes: int, cpus: int = 10) -> list[str]:
    tasks = f"--ntasks={per_node * nodes}"
    return [
        f"--gres=gpu:{per_node}",
        f"--nodes={nodes}",
        tasks,
        f"--ntasks-per-node={per_node}",
        f"--cpus-per-task={cpus}",
    ]


def srun(per_node: int, nodes: int = 1, *more: str, cpus: int = 10, partition: tuple[str, ...] = ()) -> list[str]:
    words = ["srun", *partition, *resources(per_node, nodes, cpus), "--kill-on-bad-exit=1", *more]
    return [*words, "python", *TRAIN]


def test_one_process_without_slurm_finds_its_devices_itself(checkout: Checkout) -> None:
    assert checkout.words() == ["python", *TRAIN]
    told = checkout.told()
    assert told == {"TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": str(checkout.root)}


def test_published_number_of_gpus_is_not_for_a_machine_without_slurm(checkout: Checkout) -> None:
    variables = {"PUBLISHED_GPUS": "64", "PUBLISHED_MASTER_PORT": "34223"}
    assert checkout.words(**variables) == ["python", *TRAIN]
    assert "MASTER_PORT" not in checkout.told()
    assert checkout.words(**variables, GPUS="2") == ["python", *TRAIN, "--devices", "2"]


def test_variables_become_options_before_the_ones_of_the_user(checkout: Checkout) -> None:
    variables = {"BATCH_SIZE": "12", "PER_DEVICE_BATCH_SIZE": "2", "OUTPUT_DIR": "a b", "GPUS": "3"}
    options = ["--optim.learning_rate", "it's 1", "", "*", "--x=a b"]
    expected = ["--output_dir", "a b", "--batch_size", "12", "--per_device_batch_size", "2", "--devices", "3"]
    assert checkout.words("my recipe.yaml", *options, **variables) == ["python", *TRAIN, *expected, *options]


@pytest.mark.parametrize("variables", [STEP, TORCHRUN, {"TORCHELASTIC_RUN_ID": "1"}, {**STEP, "LAUNCHER": "slurm"}])
def test_a_task_of_srun_or_torchrun_is_python_alone(cluster: Checkout, variables: dict[str, str]) -> None:
    assert cluster.words(**variables) == ["python", *TRAIN]
    assert not (cluster.root / "runs").exists()


def test_srun_gets_one_task_per_gpu(cluster: Checkout) -> None:
    assert cluster.words(GPUS="16", GPUS_PER_NODE="4", BATCH_SIZE="96") == [*srun(4, 4), "--batch_size", "96"]
    assert cluster.words(GPUS="2", CPUS_PER_TASK="3") == srun(2, cpus=3)
    assert cluster.words(NODES="2", GPUS_PER_NODE="8") == srun(8, 2)
    assert cluster.words(GPUS="4", NODES="2") == srun(2, 2)
    assert cluster.words(GPUS="1") == srun(1)
    assert cluster.words(PUBLISHED_GPUS="16") == srun(8, 2)


def test_a_partition_is_named_when_the_user_or_slurm_knows_it(cluster: Checkout) -> None:
    assert cluster.words(GPUS="2", PARTITION="mine") == srun(2, partition=("-p", "mine"))
    assert cluster.words(GPUS="2", PUBLISHED_PARTITION="known") == srun(2, partition=("-p", "known"))
    assert cluster.words(GPUS="2", PUBLISHED_PARTITION="INTERN2") == srun(2)


def test_further_words_for_srun_come_last(cluster: Checkout) -> None:
    given = {"QUOTA_TYPE": "reserved", "SRUN_ARGS": "--gres=none  --comment=*"}
    assert cluster.words(GPUS="2", **given) == srun(2, 1, "--quotatype=reserved", "--gres=none", "--comment=*")


def test_a_batch_script_runs_srun_in_its_allocation(cluster: Checkout) -> None:
    assert cluster.words(GPUS="2", PARTITION="mine", **BATCH) == srun(2)
    assert cluster.words(**BATCH, SLURM_NTASKS="4", SLURM_NNODES="2", PUBLISHED_GPUS="64") == srun(2, 2)


def test_tasks_do_not_look_like_the_shell_of_somebody(cluster: Checkout) -> None:
    for variables in ({**STEP}, {"SLURM_JOB_ID": "7"}):
        cluster.words(GPUS="2", **variables, SLURM_JOB_NAME="interactive")
        assert cluster.told()["SLURM_JOB_NAME"] == "my recipe"
    cluster.words(**STEP, LAUNCHER="plain", SLURM_JOB_NAME="train")
    assert cluster.told()["SLURM_JOB_NAME"] == "interactive"
    assert "SLURM_STEP_ID" not in cluster.told()


def test_several_processes_meet_at_the_port(cluster: Checkout) -> None:
    cluster.words(GPUS="2", PUBLISHED_MASTER_PORT="34223")
    assert cluster.told()["MASTER_PORT"] == "34223"
    cluster.words(GPUS="1", PUBLISHED_MASTER_PORT="34223")
    assert "MASTER_PORT" not in cluster.told()
    cluster.words(GPUS="2", MASTER_PORT="")
    assert "MASTER_PORT" not in cluster.told()


def torchrun(per_node: int, nodes: int = 1, rank: int = 0, address: str = "127.0.0.1", port: int = 34229) -> list[str]:
    meeting = [f"--nnodes={nodes}", f"--node_rank={rank}", f"--master_addr={address}"]
    words = ["-m", "torch.distributed.run", *meeting, f"--nproc_per_node={per_node}", f"--master_port={port}"]
    return ["python", *words, *TRAIN[1:]]


def test_torchrun_starts_the_processes_of_a_machine(cluster: Checkout) -> None:
    assert cluster.words(LAUNCHER="pytorch", GPUS="2") == torchrun(2)
    assert cluster.words(PUBLISHED_LAUNCHER="pytorch", PUBLISHED_GPUS="8") == torchrun(8)
    assert cluster.words(PUBLISHED_LAUNCHER="pytorch", LAUNCHER="slurm", GPUS="2") == srun(2)
    several = {"GPUS": "16", "NODES": "4", "NODE_RANK": "3", "MASTER_ADDR": "first", "MASTER_PORT": "99"}
    assert cluster.words(LAUNCHER="pytorch", **several) == torchrun(4, 4, 3, "first", 99)


def test_what_cannot_work_is_refused_before_anything_starts(cluster: Checkout) -> None:
    for name in (
        "GPUS",
        "GPUS_PER_NODE",
        "NODES",
        "BATCH_SIZE",
        "PER_DEVICE_BATCH_SIZE",
        "CPUS_PER_TASK",
        "MASTER_PORT",
    ):
        for value in ("0", "-2", "1.5", "two", "08", "12345678901234567890"):
            given = {"GPUS": "2", name: value}
            cluster.refuse(f"{name}: expected a whole number from 1 to 999999, got '{value}'; correct it", **given)
    cluster.refuse("MASTER_PORT: expected at most 65535, got 65536; lower it", GPUS="2", MASTER_PORT="65536")
    cluster.refuse(
        "GPUS: expected a multiple of GPUS_PER_NODE (8) or less than it, got 12; use 8 or 16, or GPUS_PER_NODE 6",
        GPUS="12",
    )
    cluster.refuse(
        "GPUS: expected NODES x GPUS_PER_NODE = 2 x 4 = 8, got 16; set one of the three otherwise, or leave it unset",
        **{"GPUS": "16", "NODES": "2", "GPUS_PER_NODE": "4"},
    )
    cluster.refuse(
        "LAUNCHER: expected slurm, pytorch or plain, got 'mpi'; choose one, or leave it unset", LAUNCHER="mpi"
    )
    cluster.refuse(
        "NODES: expected 1 without slurm and torchrun, got 2; set LAUNCHER=pytorch", LAUNCHER="plain", NODES="2"
    )
    cluster.refuse(
        "MASTER_ADDR: expected the address of the first of 2 machines, got none; set it, and NODE_RANK to 0, 1, ... "
        "on every one, or lower GPUS (16)",
        LAUNCHER="pytorch",
        GPUS="16",
    )
    cluster.refuse(
        "recipe: expected a YAML file, got 'lost.yaml'; those of this checkout are in train/recipes", "lost.yaml"
    )


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"GPUS": "3", "BATCH_SIZE": "128", "PER_DEVICE_BATCH_SIZE": "4"},
         "4 x 3 = 12 (PER_DEVICE_BATCH_SIZE x GPUS), got 128; use 120 or 132, or GPUS 2 or 4"),
        ({"GPUS": "32", "PER_DEVICE_BATCH_SIZE": "2"},
         "2 x 32 = 64 (PER_DEVICE_BATCH_SIZE x GPUS), got 48; use 64, or GPUS 24"),
        ({"GPUS": "2", "BATCH_SIZE": "9", "PER_DEVICE_BATCH_SIZE": "2"},
         "2 x 2 = 4 (PER_DEVICE_BATCH_SIZE x GPUS), got 9; use 8 or 12"),
        ({"GPUS": "5"}, "3 x 5 = 15 (PER_DEVICE_BATCH_SIZE x GPUS), got 48; use 45 or 60, or GPUS 4 or 8"),
    ],
)  # fmt: skip
def test_a_batch_that_does_not_divide_names_the_nearest_ones(
    cluster: Checkout, variables: dict[str, str], message: str
) -> None:
    cluster.refuse(f"BATCH_SIZE: expected a multiple of {message}", **variables)


def test_options_of_the_command_line_count_for_the_batch(cluster: Checkout) -> None:
    done = cluster.run("my recipe.yaml", "--batch_size=64", "--per_device_train_batch_size", "4", GPUS="8")
    assert done.stderr == (
        "GRADIENT_ACC=2: 64 samples per step = 4 per device x 8 GPUs x 2; packs may need fewer passes\n"
    )


def test_submitted_job_runs_the_same_command_under_srun(cluster: Checkout) -> None:
    given = {"SUBMIT": "1", "GPUS": "2", "BATCH_SIZE": "12", "PARTITION": "mine", "SRUN_ARGS": "--gres=none --mem=1"}
    words = cluster.words("my recipe.yaml", "--x", "it's", "", **given, SBATCH_ARGS="--time=1 -A me")
    expected = ["sbatch", "--requeue", "--signal=USR1@120", "--open-mode=append", "--job-name=my recipe", "-p", "mine"]
    expected += [*resources(2, 1), f"--chdir={cluster.root}", "--output=runs/mine/slurm-%j.out", "--time=1", "-A", "me"]
    assert words[:-1] == [*expected, "--wrap"]
    assert (cluster.root / "runs" / "mine").is_dir()
    inner = {**cluster.environment(**BATCH, PARTITION="mine")}
    subprocess.run(
        [cluster.shell, "-c", words[-1]],
        cwd=cluster.root,
        env={**inner, "PATH": f"{cluster.programs}:/bin"},
        check=True,
    )
    here = {f"{cluster.root}/.venv/bin/python": "python", f"{cluster.caller}/my recipe.yaml": "RECIPE"}
    started = [here.get(word, word) for word in cluster.record.read_text().splitlines()]
    assert "MASTER_PORT" not in cluster.told()
    assert started == [*srun(2, 1, "--gres=none", "--mem=1"), "--batch_size", "12", "--x", "it's", ""]


def test_only_slurm_can_be_submitted_to(cluster: Checkout) -> None:
    message = "LAUNCHER: expected slurm with SUBMIT=1, got pytorch; leave it unset, and submit from outside of a job"
    cluster.refuse(message, SUBMIT="1", LAUNCHER="pytorch")


@pytest.mark.parametrize("submit", ["", "1"])
def test_dry_run_prints_the_command_and_the_merged_options(cluster: Checkout, submit: str) -> None:
    done = cluster.run("my recipe.yaml", "--x", "it's", DRY_RUN="1", SUBMIT=submit, GPUS="2")
    line, merged = done.stdout.splitlines()
    words = shlex.split(line)
    assert words[0] == ("sbatch" if submit else "srun")
    assert submit or words[-2:] == ["--x", "it's"]
    assert merged == f"merged: --config {cluster.caller}/my recipe.yaml --x it's"
    assert not cluster.record.exists()
    assert not (cluster.root / "runs").exists()


def test_dry_run_with_a_mistake_in_the_options_fails(cluster: Checkout) -> None:
    done = cluster.run(DRY_RUN="1", WRONG="1", GPUS="2")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.endswith("error: wrong\n")


def test_a_recipe_of_the_checkout_is_found_from_anywhere(checkout: Checkout) -> None:
    (checkout.root / "recipes").mkdir()
    (checkout.root / "recipes" / "mine.yaml").write_text(RECIPE)
    assert checkout.words("recipes/mine.yaml") == ["python", *TRAIN[:-1], "recipes/mine.yaml"]


def test_own_interpreter_of_the_user_goes_through_the_set_up(checkout: Checkout) -> None:
    write_program(checkout.programs / "own", PYTHON)
    assert checkout.words(INTERNVL_PYTHON=str(checkout.programs / "own"))[0] == "own"


def test_help_names_every_variable(checkout: Checkout) -> None:
    text = checkout.run("--help").stdout
    for name in (
        *("PARTITION", "GPUS", "GPUS_PER_NODE", "NODES", "QUOTA_TYPE", "CPUS_PER_TASK", "SRUN_ARGS", "BATCH_SIZE"),
        *("PER_DEVICE_BATCH_SIZE", "MASTER_PORT", "LAUNCHER", "DRY_RUN", "SUBMIT", "SBATCH_ARGS", "OUTPUT_DIR"),
    ):
        assert name in text, name
    nothing = subprocess.run(
        checkout.command(), env=checkout.environment(), cwd=checkout.caller, capture_output=True, text=True, check=False
    )
    assert (nothing.returncode, nothing.stdout, nothing.stderr) == (2, "", text)
