"""evaluate.sh, run by dash and bash in a copy of the checkout with a Python that only writes down how it was called."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from evaluate.__main__ import COMMANDS

ROOT = Path(__file__).resolve().parents[2]
SHELLS = [shell for shell in ("dash", "bash") if shutil.which(shell)]
RECORDER = '#!/bin/sh\npwd\nprintf "%s\\n" "$0" "$@"\n'


@dataclass(frozen=True)
class Checkout:
    shell: str
    root: Path
    caller: Path

    def run(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        inherited = {name: value for name, value in os.environ.items() if name not in ("GPUS", "INTERNVL_PYTHON")}
        return subprocess.run(
            [self.shell, os.path.relpath(self.root / "evaluate.sh", self.caller), *arguments],
            cwd=self.caller,
            env={**inherited, **variables},
            text=True,
            capture_output=True,
            timeout=30,
            check=False,
        )

    def arguments(self, *arguments: str, **variables: str) -> list[str]:
        """The words that `python -m evaluate` gets."""
        done = self.run(*arguments, **variables)
        assert done.returncode == 0, done.stderr
        folder, program, *words = done.stdout.splitlines()
        assert folder == str(self.root)
        assert program == f"{self.root}/.venv/bin/python"
        assert words[:2] == ["-m", "evaluate"]
        return words[2:]


def write_program(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    file.chmod(0o755)


@pytest.fixture(params=SHELLS)
def checkout(request: pytest.FixtureRequest, tmp_path: Path) -> Checkout:
    root = tmp_path / "a checkout"
    write_program(root / ".venv" / "bin" / "python", RECORDER)
    shutil.copy(ROOT / "evaluate.sh", root)
    write_program(root / "shell" / "setup.sh", 'echo "$(dirname "$0")/set-up-python"\n')
    write_program(root / "shell" / "set-up-python", RECORDER)
    caller = tmp_path / "elsewhere"
    (caller / "my model").mkdir(parents=True)
    return Checkout(request.param, root, caller)


def test_script_has_at_most_twenty_lines() -> None:
    assert len((ROOT / "evaluate.sh").read_text().splitlines()) <= 20


@pytest.mark.parametrize("arguments", [(), ("pretrained/model",), ("",)])
def test_fewer_than_two_arguments_print_the_usage(checkout: Checkout, arguments: tuple[str, ...]) -> None:
    done = checkout.run(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("usage: GPUS=8 sh evaluate.sh <checkpoint> <benchmark>")


@pytest.mark.parametrize("flag", ["--list", "--help", "-h"])
def test_one_flag_alone_passes_through(checkout: Checkout, flag: str) -> None:
    assert checkout.arguments(flag, GPUS="8") == [flag]


def test_commands_without_a_model_pass_through(checkout: Checkout) -> None:
    for command in COMMANDS:
        assert checkout.arguments(command, "my model", GPUS="8") == [command, "my model"]


def test_checkpoint_folder_is_found_from_the_callers_folder(checkout: Checkout) -> None:
    assert checkout.arguments("my model", "mme")[0] == str(checkout.caller / "my model")


@pytest.mark.parametrize("rest", ["", ":", ":a.py:b c"])
def test_adapter_file_is_found_from_the_callers_folder(checkout: Checkout, rest: str) -> None:
    (checkout.caller / "my model" / "my adapter.py").touch()
    assert checkout.arguments(f"my model/my adapter.py{rest}", "mme")[0] == (
        f"{checkout.caller}/my model/my adapter.py{rest}"
    )
    assert checkout.arguments(f"other.py{rest}", "mme")[0] == f"other.py{rest}"


@pytest.mark.parametrize("ending", ["yaml", "yml"])
@pytest.mark.parametrize("rest", ["", ":my model", ":b c"])
def test_file_of_entries_is_found_from_the_callers_folder(checkout: Checkout, ending: str, rest: str) -> None:
    (checkout.caller / "my model" / f"all models.{ending}").touch()
    spec = f"my model/all models.{ending}{rest}"
    assert checkout.arguments(spec, "mme")[0] == f"{checkout.caller}/{spec}"


def test_checkpoint_folder_is_not_searched_along_cdpath(checkout: Checkout, tmp_path: Path) -> None:
    (tmp_path / "other" / "my model").mkdir(parents=True)
    found = checkout.arguments("my model", "mme", CDPATH=str(tmp_path / "other"))
    assert found[0] == str(checkout.caller / "my model")


@pytest.mark.parametrize("name", ["fake:constant", "pretrained/only-below-the-root"])
def test_a_name_that_is_no_folder_stays_as_written(checkout: Checkout, name: str) -> None:
    assert checkout.arguments(name, "mme")[0] == name


def test_number_of_gpus_comes_from_the_variable_and_flags_come_last(checkout: Checkout) -> None:
    found = checkout.arguments("fake", "mme,pope", "--limit", "a b", GPUS="8")
    assert found == ["fake", "mme,pope", "--devices", "8", "--limit", "a b"]


@pytest.mark.parametrize("variables", [{}, {"GPUS": ""}])
def test_every_visible_device_is_used_without_the_variable(checkout: Checkout, variables: dict[str, str]) -> None:
    assert checkout.arguments("fake", "mme", **variables) == ["fake", "mme", "--devices", "auto"]


def test_exit_code_is_that_of_the_program(checkout: Checkout) -> None:
    write_program(checkout.root / ".venv" / "bin" / "python", "#!/bin/sh\nexit 7\n")
    assert checkout.run("fake", "mme").returncode == 7


def set_up_python_was_used(checkout: Checkout, **variables: str) -> bool:
    done = checkout.run("fake", "mme", PYTHON="python3", **variables)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[1].endswith("/shell/set-up-python")


def test_missing_environment_is_set_up(checkout: Checkout) -> None:
    shutil.rmtree(checkout.root / ".venv")
    assert set_up_python_was_used(checkout)


def test_half_finished_environment_is_not_trusted(checkout: Checkout) -> None:
    (checkout.root / ".venv" / ".unfinished").touch()
    assert set_up_python_was_used(checkout)


def test_own_interpreter_of_the_user_goes_through_the_set_up(checkout: Checkout) -> None:
    assert set_up_python_was_used(checkout, INTERNVL_PYTHON="python3")


def test_failed_set_up_ends_with_its_exit_code(checkout: Checkout) -> None:
    shutil.rmtree(checkout.root / ".venv")
    write_program(checkout.root / "shell" / "setup.sh", "exit 2\n")
    assert checkout.run("fake", "mme").returncode == 2


def test_commands_without_a_model_get_their_words_as_they_are(checkout: Checkout) -> None:
    assert checkout.arguments("compare", "one", "two", GPUS="8") == ["compare", "one", "two"]
    assert checkout.arguments("score", "--help") == ["score", "--help"]
    for command in ("check", "prepare", "inst-it"):
        assert checkout.arguments(command, "all", GPUS="8") == [command, "all"]
