"""The record of a run: every start with what it was made, and the command that repeats the run."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from dataclasses import asdict
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.tiny_run import train_here, write_arguments
from train.arguments import parse
from train.record import (
    add_start,
    describe_start,
    name_devices,
    read_commit,
    read_starts,
    read_versions,
    repeat_command,
)


def git(folder: Path, *words: str) -> str:
    person = ("-c", "user.name=A", "-c", "user.email=a@example.org")
    done = subprocess.run(["git", "-C", str(folder), *person, *words], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with one commit."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    git(folder, "init", "--quiet")
    (folder / "file.py").write_text("1\n")
    git(folder, "add", "file.py")
    git(folder, "commit", "--quiet", "-m", "first")
    return folder


def test_a_start_says_what_it_was_made_with():
    before = datetime.now(timezone.utc).replace(microsecond=0)
    words = ["python", "-m", "train", "--output_dir", "my run"]
    start = describe_start(words, world=16, nodes=2, devices=["H"] * 8, resumed_from=Path("run/step-3"))
    assert before <= datetime.fromisoformat(start.time) <= datetime.now(timezone.utc)
    assert shlex.split(start.command) == words
    assert start.folder == str(Path.cwd())
    assert (start.world, start.nodes, start.devices) == (16, 2, ("H",) * 8)
    assert start.resumed_from == "run/step-3"
    assert start.versions["torch"] == version("torch")
    assert re.fullmatch(r"3\.\d+\.\d+", start.python)


def test_every_start_is_added_to_those_before(tmp_path):
    starts = [describe_start(["train", str(number)], world=1, nodes=1, devices=["cpu"]) for number in range(3)]
    for start in starts:
        path = add_start(tmp_path, start)
    record = json.loads(path.read_text())
    assert record["starts"] == json.loads(json.dumps([asdict(start) for start in starts])) == read_starts(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["run.json"]


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"starts": 3}'])
def test_a_record_that_is_not_whole_begins_anew(text, tmp_path):
    (tmp_path / "run.json").write_text(text)
    add_start(tmp_path, describe_start(["train"], world=1, nodes=1, devices=["cpu"]))
    assert len(read_starts(tmp_path)) == 1


def test_the_command_repeats_the_run_in_another_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = shlex.split(repeat_command(Path("work dirs/run")))
    assert words[:3] == ["python", "-m", "train"]
    assert words[3:] == ["--config", f"{tmp_path}/work dirs/run/config.yaml", "--output_dir", f"{words[4][:-12]}-again"]


def test_a_checkout_has_a_commit_and_is_dirty_when_changed(checkout):
    commit = git(checkout, "rev-parse", "HEAD")
    assert read_commit(checkout) == (commit, False)
    (checkout / "file.py").write_text("2\n")
    assert read_commit(checkout) == (commit, True)
    git(checkout, "commit", "--quiet", "--all", "-m", "second")
    assert read_commit(checkout) == (git(checkout, "rev-parse", "HEAD"), False)


def test_a_package_inside_of_another_checkout_has_no_commit(checkout):
    (checkout / "site-packages").mkdir()
    assert read_commit(checkout / "site-packages") == (None, None)


def test_without_git_there_is_no_commit(checkout, tmp_path, monkeypatch):
    (tmp_path / "plain").mkdir()
    assert read_commit(tmp_path / "plain") == (None, None)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert read_commit(checkout) == (None, None)


def test_packages_that_are_not_installed_have_no_version():
    assert read_versions(["torch", "no-such-package"]) == {"torch": version("torch")}


def test_devices_have_names(monkeypatch):
    (name,) = name_devices(4, on_gpu=False)
    assert name
    monkeypatch.setattr("torch.cuda.get_device_name", lambda index: f"card {index}")
    assert name_devices(2, on_gpu=True) == ("card 0", "card 1")


def test_a_run_and_its_continuation_are_two_starts(checkpoint, meta, tmp_path):
    arguments = write_arguments(checkpoint, meta, tmp_path / "run", max_steps=2, save_steps=1)
    train_here(arguments)
    (first,) = read_starts(tmp_path / "run")
    assert (first["world"], first["nodes"], first["resumed_from"]) == (1, 1, None)
    train_here([*arguments, "--max_steps=3", "--accept_changes=true"])
    assert read_starts(tmp_path / "run")[0] == first
    assert read_starts(tmp_path / "run")[1]["resumed_from"] == f"{tmp_path}/run/checkpoints/step-2"
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    again = parse(shlex.split(record["repeat"])[3:])
    assert (again.max_steps, again.output_dir) == (3, f"{tmp_path}/run-again")
    train_here([*arguments, "--overwrite=true"])
    assert len(read_starts(tmp_path / "run")) == 1
