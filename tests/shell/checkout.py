"""A copy of the checkout with programs that write down how they were called, for tests of shell/finetune.sh."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SHELLS = [shell for shell in ("dash", "bash") if shutil.which(shell)]
TOOLS = "sh dirname basename sed tail head tr cat mktemp mkfifo tee rm mkdir env sleep"
RECIPE = "output_dir: runs/mine  # here\nbatch_size: 48\nper_device_batch_size: 3\n"
# Its name and arguments, line by line; what it was told by the environment; then what the test wants of it.
RECORDER = """#!/bin/sh
printf '%s\\n' "${0##*/}" "$@" >"$RECORD"
env | grep -E '^(MASTER_|TF_|PYTHONPATH|SLURM_|TORCH_)' | sort >"$RECORD.env" || true
eval "${BEHAVIOR:-:}"
"""
PYTHON = f"""#!/bin/sh
case "$2" in
    train.arguments)
        shift 2
        printf 'merged: %s\\n' "$*"
        [ -n "${{WRONG:-}}" ] || exit 0
        echo "error: wrong" >&2
        exit 2
        ;;
esac
{RECORDER}"""


@dataclass(frozen=True)
class Checkout:
    shell: str
    root: Path
    caller: Path
    programs: Path
    record: Path

    def add(self, name: str, text: str = RECORDER) -> None:
        write_program(self.programs / name, text)

    def environment(self, **variables: str) -> dict[str, str]:
        return {"PATH": str(self.programs), "HOME": "/", "RECORD": str(self.record), **variables}

    def command(self, *arguments: str) -> list[str]:
        shell = shutil.which(self.shell) or self.shell
        return [shell, os.path.relpath(self.root / "shell" / "finetune.sh", self.caller), *arguments]

    def run(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*(arguments or ("my recipe.yaml",))),
            cwd=self.caller,
            env=self.environment(**variables),
            stdin=subprocess.DEVNULL,
            text=True,
            capture_output=True,
            timeout=30,
            check=False,
        )

    def words(self, *arguments: str, **variables: str) -> list[str]:
        """The program that was started and its arguments, without the interpreter's folder and the recipe's."""
        done = self.run(*arguments, **variables)
        assert done.returncode == 0, done.stderr
        here = {f"{self.root}/.venv/bin/python": "python", f"{self.caller}/my recipe.yaml": "RECIPE"}
        return [here.get(word, word) for word in self.record.read_text().splitlines()]

    def told(self) -> dict[str, str]:
        """Variables that the started program had."""
        lines = self.record.with_name("record.env").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines)

    def refuse(self, message: str, *arguments: str, **variables: str) -> None:
        done = self.run(*arguments, **variables)
        assert (done.returncode, done.stdout) == (2, ""), done
        assert done.stderr == f"error: {message}\n"
        assert not self.record.exists()


def write_program(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    file.chmod(0o755)


BATCH = {"SLURM_JOB_ID": "7", "SLURM_PROCID": "0"}
