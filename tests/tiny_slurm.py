"""A private slurm for tests: munge, a controller and two nodes with eight false GPUs each, all on this machine."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

PROGRAMS = ("setpriv", "munged", "slurmctld", "slurmd", "srun", "sbatch", "scontrol", "scancel", "sinfo", "squeue")
CONFIGURATION = """
ClusterName=tiny
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
SwitchType=switch/none
ReturnToService=2
SlurmdParameters=config_overrides
SchedulerParameters=sched_interval=1,bf_interval=1
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
KillWait=5
GresTypes=gpu
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=8 RealMemory=8000 Gres=gpu:8
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=8 RealMemory=8000 Gres=gpu:8
PartitionName=debug Nodes=n[1-2] Default=YES State=UP
PartitionName=urgent Nodes=n[1-2] PriorityTier=9 State=UP
"""


class NoSlurmError(Exception):
    """Why there is no slurm to test with."""


@dataclass(frozen=True, slots=True)
class Slurm:
    """A running slurm.

    Attributes:
        folder: its configuration and logs.
        environment: what a process needs to talk to it, and what jobs on one machine need; no inherited `SLURM_*`.
    """

    folder: Path
    environment: Mapping[str, str]

    def run(self, *command: str | Path, timeout: float = 60, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            [str(word) for word in command],
            env={**self.environment, **variables},
            text=True,
            capture_output=True,
            timeout=timeout,
            check=False,
        )

    def read(self, *command: str | Path) -> str:
        """What a command that is to succeed prints."""
        done = self.run(*command)
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout.strip()

    def describe(self, job: str) -> dict[str, str]:
        """The fields of `scontrol show job`."""
        words = self.read("scontrol", "--oneliner", "show", "job", job).split()
        return {name: value for name, equals, value in (word.partition("=") for word in words) if equals}

    def wait(self, job: str, *states: str, seconds: float = 60) -> dict[str, str]:
        """The fields of a job once its state is one of these."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            fields = self.describe(job)
            if fields["JobState"] in states:
                return fields
            time.sleep(0.2)
        raise AssertionError(f"job {job}: expected {' or '.join(states)} in {seconds} s, got {fields}")


@contextlib.contextmanager
def start_slurm(folder: Path) -> Iterator[Slurm]:
    """A slurm whose files are all in `folder`; it has stopped afterwards.

    Raises:
        NoSlurmError: there is no slurm here, or it does not start.
    """
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing:
        raise NoSlurmError(f"no {', '.join(missing)} here (Debian, Ubuntu: apt install slurm-wlm munge)")
    if os.geteuid() != 0:
        raise NoSlurmError("slurm starts jobs as their users, which only root can")
    write_configuration(folder)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SLURM", "SBATCH", "SRUN"))}
    # The nodes' names are made up, so no process can look up the address of the first.
    own = {"SLURM_CONF": f"{folder}/slurm.conf", "MASTER_ADDR": "127.0.0.1", "OMP_NUM_THREADS": "1"}
    slurm = Slurm(folder, {**kept, **own, "CUDA_VISIBLE_DEVICES": ""})
    with contextlib.ExitStack() as stack:
        munge = ("--foreground", "--force", f"--socket={folder}/munge.socket", f"--key-file={folder}/munge.key")
        files = (f"--pid-file={folder}/munge.pid", f"--seed-file={folder}/munge.seed", f"--log-file={folder}/munge.log")
        stack.enter_context(run_daemon(slurm, "munged", *munge, *files))
        stack.enter_context(run_daemon(slurm, "slurmctld", "-D", "-i"))
        for node in ("n1", "n2"):
            stack.enter_context(run_daemon(slurm, f"slurmd-{node}", "-D", "-N", node))
        wait_for_nodes(slurm)
        stack.callback(cancel_jobs, slurm)
        yield slurm


def write_configuration(folder: Path) -> None:
    """Everything that the daemons read."""
    (folder / "state").mkdir(parents=True)
    folder.chmod(0o755)
    host = socket.gethostname().split(".")[0]
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(3)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        ports = [each.getsockname()[1] for each in sockets]
    (folder / "slurm.conf").write_text(CONFIGURATION.format(host=host, folder=folder, ports=ports))
    (folder / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\nCgroupAutomount=no\n")
    (folder / "gres.conf").write_text(f"AutoDetect=off\nNodeName=n[1-2] Name=gpu File={folder}/gpu[0-7]\n")
    (folder / "munge.key").write_bytes(secrets.token_bytes(128))
    (folder / "munge.key").chmod(0o600)
    try:
        for number in range(8):
            os.mknod(folder / f"gpu{number}", 0o666 | 0o020000, os.makedev(1, 3))
    except OSError as error:
        raise NoSlurmError(f"no device files can be made: {error}") from None


@contextlib.contextmanager
def run_daemon(slurm: Slurm, name: str, *arguments: str) -> Iterator[None]:
    """A process in a group of its own; what it says is in `<name>.out`."""
    with open(slurm.folder / f"{name}.out", "wb") as output:
        process = subprocess.Popen(
            # It does not outlive the tests, however they end.
            ["setpriv", "--pdeathsig", "TERM", name.split("-")[0], *arguments],
            env=dict(slurm.environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_for_nodes(slurm: Slurm, seconds: float = 20) -> None:
    """Until both nodes are idle."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        answer = slurm.run("sinfo", "--noheader", "--partition=debug", "--Node", "--format=%t", timeout=30)
        if answer.stdout.split() == ["idle", "idle"]:
            return
        time.sleep(0.2)
    logs = "; ".join(f"{path.name}: {path.read_text(errors='replace')[-300:]}" for path in slurm.folder.glob("*.out"))
    raise NoSlurmError(f"slurm has no idle nodes after {seconds} s: {answer.stdout}{answer.stderr} {logs}")


def cancel_jobs(slurm: Slurm) -> None:
    """End what runs, so that no process outlives the daemons."""
    slurm.run("scancel", "--user=root")
    end = time.monotonic() + 20
    while slurm.run("squeue", "--noheader").stdout and time.monotonic() < end:
        time.sleep(0.2)
