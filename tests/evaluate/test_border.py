"""The border of commands: what the system refuses is one line, and a pipe that nobody reads is no mistake."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pytest

from evaluate.border import guard
from tests.evaluate.questions import REPOSITORY


def test_what_the_system_refuses_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert guard(lambda words: int(words[0]), ["3"]) == 3
    assert guard(lambda words: Path(words[0]).stat().st_size, ["/dev/null/results"]) == 2
    assert capsys.readouterr().err == (
        "error: /dev/null/results: expected a path that can be read and written, got Not a directory; "
        "make room or rights, or choose another path, and the same command goes on\n"
    )


def test_error_without_a_reason_of_the_system_is_ours() -> None:
    def fail(words: list[str]) -> int:
        raise OSError("a bug")

    with pytest.raises(OSError, match="a bug"):
        guard(fail, [])


def test_what_a_terminal_cannot_show_is_written_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(shown, encoding="ascii"))
    assert guard(lambda words: print("é") or 0, []) == 0
    assert shown.getvalue() == b"\\xe9\n"


def test_pipe_that_nobody_reads_ends_the_command_quietly() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "evaluate", "--list"], cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == b""
    assert process.wait() == 141
