"""Progress: a bar for people who watch, lines for log files, nothing for what is done at once."""

from __future__ import annotations

import io
import sys

import pytest

import internvl.progress
from internvl.progress import Progress, tell_time


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
    monkeypatch.setattr(internvl.progress, "time", clock)
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
        progress.update(12_000_000, 12_000_000)
    assert capsys.readouterr().err.splitlines() == [
        "index of rows: 3,000,000 of 12,000,000 rows, 142,857/s, 1 min 3 s left",
        "index of rows: 6,000,000 of 12,000,000 rows, 142,857/s, 42 s left",
        "index of rows: 9,000,000 of 12,000,000 rows, 142,857/s, 21 s left",
        "index of rows: 12,000,000 of 12,000,000 rows, 142,857/s, 1 min 24 s",
    ]


def test_the_end_follows_a_line_even_when_it_comes_soon(clock, capsys):
    progress = Progress("plan")
    clock.now += 21
    progress.update(50, 100)
    clock.now += 1
    progress.update(60, 100)
    progress.update(100, 100)
    assert capsys.readouterr().err.splitlines() == [
        "plan: 50 of 100 rows, 2.4/s, 21 s left",
        "plan: 100 of 100 rows, 4.5/s, 22 s",
    ]


def test_what_was_done_before_does_not_count_into_the_rate(clock, capsys):
    progress = Progress("vqa", unit="answers", done=1000, first=5)
    clock.now += 6
    progress.update(1000, 5000)
    clock.now += 24
    progress.update(1060, 5000, "3 errors")
    assert capsys.readouterr().err.splitlines() == [
        "vqa: 1,000 of 5,000 answers, 6 s",
        "vqa: 1,060 of 5,000 answers, 2/s, 32 min 50 s left, 3 errors",
    ]


def test_a_duration_has_its_two_largest_units():
    assert [tell_time(seconds) for seconds in (0.4, 59.4, 59.6, 468, 3600, 90_061)] == [
        "0 s",
        "59 s",
        "1 min 0 s",
        "7 min 48 s",
        "1 h 0 min",
        "25 h 1 min",
    ]


def test_a_terminal_gets_a_bar_that_is_closed(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with Progress("index of rows", done=10) as progress:
        progress.update(20, 100)
        progress.update(100, 100, "2 errors")
        bar = progress.bar
    assert (bar.n, bar.total, bar.initial) == (100, 100, 10)
    assert bar.disable  # closed
    assert "index of rows" in terminal.getvalue()
    assert "100/100" in terminal.getvalue()
    assert "2 errors" in terminal.getvalue()


def test_a_terminal_without_news_shows_no_bar(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with Progress("index of rows"):
        pass
    assert terminal.getvalue() == ""
