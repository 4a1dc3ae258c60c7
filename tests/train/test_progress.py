"""Progress before training: a bar for people who watch, lines for log files, nothing for what is done at once."""

from __future__ import annotations

import io
import sys

import pytest

import train.progress
from train.progress import Progress


class Clock:
    """Seconds that a test sets."""

    now = 100.0

    def monotonic(self) -> float:
        return self.now


class Terminal(io.StringIO):
    """What is written goes to somebody who watches."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(train.progress, "time", clock)
    return clock


def test_what_is_done_at_once_says_nothing(clock, capsys):
    with Progress("index of rows") as progress:
        for done in range(0, 1001, 10):
            clock.now += 0.1
            progress.update(done, 1000)
    assert capsys.readouterr().err == ""


def test_a_log_file_gets_a_line_now_and_then_and_one_at_the_end(clock, capsys):
    with Progress("index of rows") as progress:
        for done in range(0, 12_000_001, 1_000_000):
            progress.update(done, 12_000_000)
            clock.now += 7
    assert capsys.readouterr().err.splitlines() == [
        "index of rows: 3,000,000 of 12,000,000 rows, 21 s",
        "index of rows: 6,000,000 of 12,000,000 rows, 42 s",
        "index of rows: 9,000,000 of 12,000,000 rows, 63 s",
        "index of rows: 12,000,000 of 12,000,000 rows, 84 s",
    ]


def test_the_end_follows_a_line_even_when_it_comes_soon(clock, capsys):
    progress = Progress("plan")
    clock.now += 21
    progress.update(50, 100)
    clock.now += 1
    progress.update(60, 100)
    progress.update(100, 100)
    assert capsys.readouterr().err.splitlines() == ["plan: 50 of 100 rows, 21 s", "plan: 100 of 100 rows, 22 s"]


def test_a_terminal_gets_a_bar_that_is_closed(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with Progress("index of rows") as progress:
        progress.update(20, 100)
        progress.update(100, 100)
        bar = progress.bar
    assert (bar.n, bar.total) == (100, 100)
    assert bar.disable  # closed
    assert "index of rows" in terminal.getvalue()
    assert "100/100" in terminal.getvalue()


def test_a_terminal_without_news_shows_no_bar(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with Progress("index of rows"):
        pass
    assert terminal.getvalue() == ""
