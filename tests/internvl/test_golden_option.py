"""The golden option as its users give it: any folder, any spelling, and no mark on the runs of other projects."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        all(entry.value != "internvl.golden_option" for found in distributions() for entry in found.entry_points),
        reason="this package is not installed here: sh shell/setup.sh",
    ),
]


def collect(*words: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """What a run with these words would test, if these were all tests of the project."""
    few = "testpaths=tests/internvl/test_shares.py"
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-o", few, *words]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One case of one family, outside of the checkout."""
    case = {"id": "only-case", "input": {"total": 3, "world_size": 2}, "expected": {"ranges": [[0, 2], [2, 3]]}}
    (tmp_path / "sharding.json").write_text(json.dumps({"cases": [case]}))
    return tmp_path


@pytest.mark.parametrize("joined", [True, False])
def test_a_folder_outside_of_the_checkout_is_taken_in_either_spelling(folder: Path, joined: bool) -> None:
    option = [f"--golden-dir={folder}"] if joined else ["--golden-dir", str(folder)]
    done = collect("-m", "golden", *option)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "tests/internvl/test_shares.py::" in done.stdout
    assert "only-case" in done.stdout


def test_a_folder_that_is_not_there_is_named() -> None:
    done = collect("--golden-dir", "nowhere")
    assert done.returncode == 4
    assert "--golden-dir: expected an existing folder, got nowhere" in done.stderr


def test_other_projects_only_get_an_option_more(tmp_path: Path) -> None:
    (tmp_path / "test_theirs.py").write_text("def test_theirs():\n    pass\n")
    done = collect(str(tmp_path), "--golden-dir", str(tmp_path), cwd=tmp_path)
    assert (done.returncode, "test_theirs.py::test_theirs" in done.stdout) == (0, True)
