"""The record of a run folder, run.json: with what, where and when it was started each time, and how to repeat it."""

from __future__ import annotations

import json
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

FILE_NAME = "run.json"
PACKAGES = ("internvl-lightning", "torch", "lightning", "transformers", "deepspeed", "peft")
_ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True)
class Start:
    """One start of a run; one that goes on is another.

    Attributes:
        time: in UTC.
        command: as it was typed.
        folder: it was typed in.
        versions: of the packages that are installed.
        commit: of the code, if it is a git checkout.
        is_dirty: whether the code differs from its commit.
        python: its version.
        nodes: machines.
        world: devices, over all machines.
        devices: names of the devices of the first machine.
        resumed_from: the checkpoint that it goes on from.
    """

    time: str
    command: str
    folder: str
    versions: dict[str, str]
    commit: str | None
    is_dirty: bool | None
    python: str
    nodes: int
    world: int
    devices: tuple[str, ...]
    resumed_from: str | None = None


def describe_start(
    command: Sequence[str], *, world: int, nodes: int, devices: Sequence[str], resumed_from: Path | None = None
) -> Start:
    """The start that is being made now.

    Args:
        command: the words of the command line.
        world, nodes, devices, resumed_from: as in `Start`.
    """
    commit, is_dirty = read_commit(_ROOT)
    return Start(
        time=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        command=shlex.join(command),
        folder=os.getcwd(),
        versions=read_versions(PACKAGES),
        commit=commit,
        is_dirty=is_dirty,
        python=".".join(str(part) for part in sys.version_info[:3]),
        nodes=nodes,
        world=world,
        devices=tuple(devices),
        resumed_from=None if resumed_from is None else str(resumed_from),
    )


def add_start(folder: Path, start: Start) -> Path:
    """Append a start to the record of a run folder; a reader sees the whole file before or after it."""
    path = folder / FILE_NAME
    starts = [*read_starts(folder), asdict(start)]
    record = {"repeat": repeat_command(folder), "starts": starts}
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    partial.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    partial.replace(path)
    return path


def read_starts(folder: Path) -> list[dict[str, Any]]:
    """The starts so far; none where there is no record or it is not whole."""
    try:
        starts = json.loads((folder / FILE_NAME).read_text(encoding="utf-8"))["starts"]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    return starts if isinstance(starts, list) else []


def repeat_command(folder: Path) -> str:
    """The command that repeats a run in a folder of its own, wherever it is typed."""
    folder = folder.absolute()
    again = folder.with_name(f"{folder.name}-again")
    return shlex.join(["python", "-m", "train", "--config", str(folder / "config.yaml"), "--output_dir", str(again)])


def read_versions(packages: Sequence[str]) -> dict[str, str]:
    """Versions of those packages that are installed."""
    found = {}
    for name in packages:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def read_commit(folder: Path) -> tuple[str | None, bool | None]:
    """The commit of a checkout and whether its files differ from it; None where there is no git or no checkout."""
    found, changes = _ask_git(folder, "rev-parse", "HEAD", "--show-toplevel"), _ask_git(folder, "status", "--porcelain")
    if found is None or changes is None:
        return None, None
    commit, _, root = found.strip().partition("\n")
    # Installed packages may lie in a checkout of something else.
    return (commit, bool(changes.strip())) if Path(root).resolve() == folder.resolve() else (None, None)


def name_devices(count: int, *, on_gpu: bool) -> tuple[str, ...]:
    """The names of the devices of this machine that train; a CPU has one, however many processes share it."""
    if on_gpu:
        import torch

        return tuple(torch.cuda.get_device_name(index) for index in range(count))
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return (next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")),)
    except (OSError, StopIteration):
        return (platform.machine(),)


def _ask_git(folder: Path, *words: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *words], capture_output=True, text=True, timeout=20, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout if done.returncode == 0 else None
