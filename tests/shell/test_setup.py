"""shell/setup.sh, run by dash and bash in a copy of the checkout with stand-ins for Python and pip.

Nothing is installed. A stand-in hands `-c` code to the interpreter of the tests, after lines that change what that one
says of itself.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SHELLS = [shell for shell in ("dash", "bash") if shutil.which(shell)]
TOOLS = (
    *("awk", "cat", "cksum", "cp", "df", "dirname", "grep", "ls", "mkdir", "mv"),
    *("rm", "rmdir", "sed", "sh", "sleep", "tail", "tr", "uname"),
)
SETUP_SECONDS = 30

STAND_IN = r"""#!/bin/sh
case "${{1:-}} ${{2:-}}" in
    "-c import pip") exit 0 ;;
    "-c "*) exec {real} -I -S -c "{prelude}
$2" ;;
    "-m venv")
        printf 'venv %s\n' "$0" >>{calls}
        mkdir -p "$3/bin"
        cp "$0" "$3/bin/python"
        printf 'version = {version}\n' >"$3/pyvenv.cfg"
        if [ -r {venv_script} ]; then . {venv_script}; fi
        ;;
    "-m pip")
        printf 'pip %s\n' "$*" >>{calls}
        if [ -r {pip_script} ]; then . {pip_script}; fi
        ;;
esac
"""


@dataclass(frozen=True)
class Checkout:
    """A copy of the files that set-up reads, and a PATH that holds stand-ins only."""

    shell: str
    root: Path
    bin: Path

    @property
    def calls(self) -> list[str]:
        """What the stand-ins were asked to do, in order."""
        file = self.root.parent / "calls"
        return file.read_text().splitlines() if file.exists() else []

    @property
    def steps(self) -> list[str]:
        """The same without the arguments: `venv` and `pip`."""
        return [call.split()[0] for call in self.calls]

    def add_python(self, name: str, version: tuple[int, int, int], prelude: str = "") -> Path:
        """Put a stand-in on PATH whose base interpreter is itself."""
        dotted = ".".join(map(str, version))
        prefix = self.root.parent / f"prefix-{dotted}"
        base = prefix / "bin" / f"python{version[0]}.{version[1]}"
        base.parent.mkdir(parents=True, exist_ok=True)
        text = STAND_IN.format(
            real=sys.executable,
            prelude=f"import sys; sys.version_info = {version}; sys.base_prefix = '{prefix}'; {prelude}",
            calls=self.root.parent / "calls",
            venv_script=self.root.parent / "venv.sh",
            pip_script=self.root.parent / "pip.sh",
            version=dotted,
        )
        for file in (self.bin / name, base):
            write_program(file, text)
        return base

    def script(self, step: str, text: str) -> None:
        """Let the next `venv` or `pip` run these shell lines at its end."""
        (self.root.parent / f"{step}.sh").write_text(text)

    def start(self, *arguments: str, **variables: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [self.bin / self.shell, str(self.root / "shell" / "setup.sh"), *arguments],
            env={"PATH": str(self.bin), "HOME": str(self.root.parent), **variables},
            cwd=self.root.parent,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def run(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        process = self.start(*arguments, **variables)
        stdout, stderr = process.communicate(timeout=SETUP_SECONDS)
        return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)

    def refusal(self, *arguments: str, **variables: str) -> str:
        """The messages of a set-up that ends with exit code 2."""
        done = self.run(*arguments, **variables)
        assert (done.returncode, done.stdout) == (2, ""), done.stderr
        return done.stderr


def write_program(file: Path, text: str) -> None:
    file.write_text(text)
    file.chmod(0o755)


@pytest.fixture(params=SHELLS)
def checkout(request: pytest.FixtureRequest, tmp_path: Path) -> Checkout:
    root = tmp_path / "a checkout"
    (root / "shell").mkdir(parents=True)
    shutil.copy(ROOT / "shell" / "setup.sh", root / "shell")
    (root / "pyproject.toml").write_text("[project]\n")
    (root / "constraints.txt").write_text("torch==2.15.0\n")
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    for tool in {*TOOLS, request.param}:
        (bin_folder / tool).symlink_to(shutil.which(tool) or pytest.skip(f"needs the program {tool}"))
    return Checkout(request.param, root, bin_folder)


@pytest.fixture
def ready(checkout: Checkout) -> Checkout:
    """A checkout after a first set-up."""
    checkout.add_python("python3.12", (3, 12, 1))
    assert checkout.run().returncode == 0
    return checkout


def test_first_call_makes_an_environment_with_the_pinned_versions(checkout: Checkout) -> None:
    base = checkout.add_python("python3.12", (3, 12, 1))
    done = checkout.run("--print-python")
    assert done.returncode == 0, done.stderr
    assert checkout.calls[0] == f"venv {base}"
    assert checkout.calls[1].endswith("-c constraints.txt -e .[dev]")
    assert done.stdout == f"{checkout.root}/.venv/bin/python\n"


def test_second_call_does_nothing_and_is_quick(ready: Checkout) -> None:
    before = ready.calls
    durations = []
    for _ in range(3):
        started = time.perf_counter()
        again = ready.run("--print-python")
        durations.append(time.perf_counter() - started)
        assert (again.returncode, again.stderr) == (0, "")
        assert again.stdout == f"{ready.root}/.venv/bin/python\n"
    assert ready.calls == before
    assert min(durations) < 0.2


@pytest.mark.parametrize("name", ["pyproject.toml", "constraints.txt"])
def test_a_changed_file_installs_again_into_the_same_environment(ready: Checkout, name: str) -> None:
    (ready.root / name).write_text("changed\n")
    assert ready.run().returncode == 0
    assert ready.steps == ["venv", "pip", "pip"]


def test_a_moved_checkout_is_set_up_again(ready: Checkout) -> None:
    moved = Checkout(ready.shell, ready.root.rename(ready.root.parent / "moved"), ready.bin)
    assert moved.run().returncode == 0
    assert moved.steps == ["venv", "pip", "pip"]


def test_the_newest_python_that_runs_is_taken(checkout: Checkout) -> None:
    write_program(checkout.bin / "python3.12", "#!/bin/sh\necho 'python3.12: version not selected' >&2\nexit 127\n")
    newest = checkout.add_python("python3.11", (3, 11, 7))
    checkout.add_python("python3", (3, 10, 2))
    assert checkout.run().returncode == 0
    assert checkout.calls[0] == f"venv {newest}"


def test_too_old_python_ends_with_its_version_and_a_remedy(checkout: Checkout) -> None:
    checkout.add_python("python3", (3, 9, 18))
    assert checkout.refusal().startswith("python3: expected Python 3.10 or newer, got 3.9.18; install a newer one")
    assert checkout.calls == []


def test_no_python_at_all_ends_with_a_remedy(checkout: Checkout) -> None:
    assert checkout.refusal().startswith("Python: expected 3.10 or newer on PATH, got none; install a newer one")


def test_python_without_ensurepip_names_the_package_to_install(checkout: Checkout) -> None:
    checkout.add_python("python3.11", (3, 11, 2), prelude="sys.modules['ensurepip'] = None")
    checkout.add_python("python3", (3, 8, 1))
    message = checkout.refusal()
    assert message.startswith("python3.11: expected Python with the modules venv and ensurepip, got 3.11.2 without")
    assert "apt install python3-venv" in message


def test_python_variable_may_be_relative_to_the_callers_folder(checkout: Checkout) -> None:
    base = checkout.add_python("python3.10", (3, 10, 2))
    checkout.add_python("python3.12", (3, 12, 1))
    assert checkout.run(PYTHON="bin/python3.10").returncode == 0
    assert checkout.calls[0] == f"venv {base}"


def test_another_python_variable_makes_the_environment_anew(ready: Checkout) -> None:
    base = ready.add_python("python3.10", (3, 10, 2))
    assert ready.run(PYTHON="python3.10").returncode == 0
    assert ready.calls[2] == f"venv {base}"


def test_the_environments_own_python_as_variable_changes_nothing(ready: Checkout) -> None:
    before = ready.calls
    assert ready.run(PYTHON=str(ready.root / ".venv" / "bin" / "python")).returncode == 0
    assert ready.calls == before


def test_small_disk_ends_before_anything_is_downloaded(checkout: Checkout) -> None:
    checkout.add_python("python3.12", (3, 12, 1))
    (checkout.bin / "df").unlink()
    write_program(
        checkout.bin / "df",
        "#!/bin/sh\necho 'Filesystem 1024-blocks Used Available Capacity Mounted on'\necho '/dev/a 9 9 3145728 9% /'\n",
    )
    assert f"disk: expected 9 GB free in {checkout.root}, got 3 GB; free some space" in checkout.refusal()
    assert checkout.calls == []


def test_network_away_shows_the_last_errors_without_the_registry(checkout: Checkout) -> None:
    checkout.add_python("python3.12", (3, 12, 1))
    checkout.script(
        "pip",
        "echo 'WARNING: Could not fetch URL https://me:secret@registry.example/simple: skipping'\n"
        "echo 'WARNING: Repository located at registry.example, use --trusted-host registry.example'\n"
        "echo \"WARNING: HTTPSConnection(host='registry.example'): Failed to resolve 'registry.example'\"\n"
        "echo 'ERROR: No matching distribution found for torch==2.15.0'\n"
        "for _ in 1 2 3 4 5 6 7 8; do echo 'note: not a problem with pip'; done\nexit 1\n",
    )
    messages = checkout.refusal()
    assert "ERROR: No matching distribution found for torch==2.15.0" in messages
    last = messages.splitlines()[-1]
    assert last.startswith("setup: expected 'pip install' to succeed, got exit code 1; check the network")
    assert "registry.example" not in messages
    assert "secret" not in messages


def test_full_disk_during_the_installation_is_named(checkout: Checkout) -> None:
    checkout.add_python("python3.12", (3, 12, 1))
    checkout.script("pip", "echo 'ERROR: [Errno 28] No space left on device'\nexit 1\n")
    assert checkout.refusal().splitlines()[-1].startswith("disk: expected room for 'pip install'")


@pytest.mark.parametrize(("step", "steps"), [("venv", ["venv"]), ("pip", ["venv", "pip"])])
def test_failed_first_set_up_is_repeated_from_the_start(checkout: Checkout, step: str, steps: list[str]) -> None:
    checkout.add_python("python3.12", (3, 12, 1))
    checkout.script(step, "exit 1\n")
    assert "to succeed, got exit code 1" in checkout.refusal()
    checkout.script(step, "")
    assert checkout.run().returncode == 0
    assert checkout.steps == [*steps, "venv", "pip"]


@pytest.mark.parametrize(
    ("output", "steps"),
    [("ERROR: No matching distribution", ["pip"]), ("Installing collected packages: torch", ["venv", "pip"])],
)
def test_failed_update_keeps_the_environment_if_pip_changed_nothing(
    ready: Checkout, output: str, steps: list[str]
) -> None:
    (ready.root / "constraints.txt").write_text("torch==2.16.0\n")
    ready.script("pip", f"echo '{output}'\nexit 1\n")
    assert ready.run().returncode == 2
    ready.script("pip", "exit 0\n")
    assert ready.run().returncode == 0
    assert ready.steps == ["venv", "pip", "pip", *steps]


@pytest.fixture
def installing(checkout: Checkout) -> Iterator[tuple[Checkout, subprocess.Popen[str]]]:
    """A set-up in the middle of its `pip install`, which waits for the file `go` and then makes the file `gone`."""
    checkout.add_python("python3.12", (3, 12, 1))
    go = checkout.root.parent / "go"
    gone = checkout.root.parent / "gone"
    checkout.script("pip", f"while [ ! -e '{go}' ]; do sleep 0.1; done\n: >'{gone}'\n")
    process = checkout.start()
    deadline = time.monotonic() + SETUP_SECONDS
    while len(checkout.calls) < 2:
        assert time.monotonic() < deadline, "the set-up did not come to its pip install"
        time.sleep(0.02)
    time.sleep(0.2)  # pip writes its call down just before the set-up adds pip to the lock
    yield checkout, process
    go.touch()
    process.kill()
    process.communicate()


def test_killed_set_up_is_repaired(installing: tuple[Checkout, subprocess.Popen[str]]) -> None:
    checkout, process = installing
    process.kill()
    process.wait()
    (checkout.root.parent / "go").touch()
    leftover = checkout.root / ".venv" / "leftover"
    leftover.touch()
    done = checkout.run()
    assert done.returncode == 0, done.stderr
    assert checkout.steps == ["venv", "pip", "venv", "pip"]
    assert not leftover.exists()
    assert not (checkout.root / ".venv.lock").exists()


def test_pip_of_a_killed_set_up_is_waited_for(installing: tuple[Checkout, subprocess.Popen[str]]) -> None:
    checkout, process = installing
    process.kill()
    process.wait()
    second = checkout.start()
    time.sleep(1.5)
    assert len(checkout.calls) == 2, "the second set-up did not wait"
    (checkout.root.parent / "go").touch()
    assert second.wait(SETUP_SECONDS) == 0
    second.communicate()


def test_terminated_set_up_takes_its_pip_along(installing: tuple[Checkout, subprocess.Popen[str]]) -> None:
    checkout, process = installing
    process.terminate()
    assert process.wait(SETUP_SECONDS) == 143
    (checkout.root.parent / "go").touch()
    time.sleep(0.5)
    assert not (checkout.root.parent / "gone").exists()
    assert not (checkout.root / ".venv.lock").exists()
    assert (checkout.root / ".venv" / ".unfinished").exists()


def test_two_set_ups_at_once_install_once(installing: tuple[Checkout, subprocess.Popen[str]]) -> None:
    checkout, process = installing
    second = checkout.start()
    time.sleep(0.5)
    (checkout.root.parent / "go").touch()
    assert process.wait(SETUP_SECONDS) == 0
    assert second.wait(SETUP_SECONDS) == 0
    second.communicate()
    assert checkout.steps == ["venv", "pip"]


def test_environment_that_the_user_made_is_kept(ready: Checkout) -> None:
    (ready.root / ".venv" / ".stamp").unlink()
    own = ready.root / ".venv" / "own"
    own.touch()
    assert ready.run().returncode == 0
    assert own.exists()
    assert ready.steps == ["venv", "pip", "pip"]


def test_environment_with_a_dangling_python_is_made_anew(ready: Checkout) -> None:
    python = ready.root / ".venv" / "bin" / "python"
    python.unlink()
    python.symlink_to("/nowhere/python")
    assert ready.run().returncode == 0
    assert ready.steps == ["venv", "pip", "venv", "pip"]


def test_own_python_is_used_without_an_environment(checkout: Checkout) -> None:
    find = "import importlib.util; importlib.util.find_spec = lambda name: sys"
    checkout.add_python("python3", (3, 12, 1), prelude=f"{find}; sys.executable = '/opt/own/python'")
    done = checkout.run("--print-python", INTERNVL_PYTHON="python3")
    assert (done.returncode, done.stdout, done.stderr) == (0, "/opt/own/python\n", "")
    assert not (checkout.root / ".venv").exists()


def test_own_python_without_the_packages_names_them(checkout: Checkout) -> None:
    find = "import importlib.util; importlib.util.find_spec = lambda name: None if 'light' in name else sys"
    checkout.add_python("python3", (3, 12, 1), prelude=find)
    assert "expected the packages of pyproject.toml in 'python3', got none called lightning;" in checkout.refusal(
        INTERNVL_PYTHON="python3"
    )


@pytest.mark.parametrize(
    ("arguments", "variables", "message"),
    [
        ((), {"PYTHON": "/nowhere"}, "PYTHON: expected an interpreter that runs, got '/nowhere'; set PYTHON to"),
        ((), {"INTERNVL_PYTHON": "/nowhere"}, "INTERNVL_PYTHON: expected an interpreter that runs, got '/nowhere';"),
        (("--pint",), {}, "setup.sh: expected --print-python, --help or nothing, got '--pint'; see sh shell/setup.sh"),
    ],
)
def test_wrong_request_is_refused_although_a_python_is_there(
    checkout: Checkout, arguments: tuple[str, ...], variables: dict[str, str], message: str
) -> None:
    checkout.add_python("python3.12", (3, 12, 1))
    assert checkout.refusal(*arguments, **variables).startswith(message)
    assert checkout.calls == []


def test_help_documents_every_variable_that_the_script_reads(checkout: Checkout) -> None:
    done = checkout.run("--help")
    assert done.returncode == 0
    assert {"PYTHON", "INTERNVL_PYTHON", "--print-python"} <= set(done.stdout.split())
