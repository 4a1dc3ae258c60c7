"""Commands that are stopped, or lose a process: they end at once, with one line, and all processes with them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import types
from collections.abc import Iterator
from pathlib import Path

import pytest

from evaluate.processes import Place
from evaluate.stop import Stop
from tests.evaluate.questions import count_lines, read_texts, start, write_questions

# Processes without a model: each stores two answers of its share, and is then busy, unless it is told to finish.
CODE = """
import pathlib, sys, time, types
from evaluate.records import PartWriter, read_parts
from evaluate.sample import Prediction
class Answerer:
    def __init__(self, place, each, *, batch_size, num_workers): self.place, self.num_workers = place, num_workers
    def answer(self, run, todo, progress):
        share = todo[self.place.rank :: self.place.count]
        writer = PartWriter(run.folder, self.place.rank)
        for sample in share if self.num_workers == 0 else share[:2]:
            writer.write([Prediction(sample.id, sample.id)])
        if self.num_workers:
            pathlib.Path(run.folder, f"busy-{self.place.rank}").touch()
            time.sleep(60)
def choose_placement(spec, place, devices, gpus_per_model):
    return types.SimpleNamespace(each=1, processes=1 if devices == "auto" else int(devices))
class Silent:
    def __init__(self, name, folder, total, left): self.folder, self.total = folder, total
    def is_complete(self): return len(read_parts(self.folder)) == self.total
    def show(self): pass
    close = show
sys.modules["evaluate.launch"] = types.SimpleNamespace(Answerer=Answerer, choose_placement=choose_placement)
sys.modules["evaluate.progress"] = types.SimpleNamespace(AnswerProgress=Silent)
from evaluate.__main__ import main
sys.exit(main(sys.argv[1:]))
"""


class Command:
    """A command of three processes that are busy."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.words = ["fake:x", "quickstart", "--allow-size", "--root", root, "--output", root / "out"]
        self.folder = root / "out" / "fake_x" / "quickstart"
        self.process = start(*self.words, "--devices", 3, "--num-workers", 1, code=CODE)
        end = time.monotonic() + 60
        while len(list(self.folder.glob("busy-*"))) < 3:
            assert self.process.poll() is None, self.process.communicate()
            assert time.monotonic() < end
            time.sleep(0.02)
        listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(self.process.pid)], capture_output=True, text=True)
        self.children = sorted(map(int, listed.stdout.split()))
        assert len(self.children) == 2

    def end(self) -> tuple[int, str]:
        """Exit code and what is said, once nothing is left that could say more."""
        _, errors = self.process.communicate(timeout=20)
        return self.process.returncode, errors

    def go_on(self) -> None:
        """The same command finishes what is left."""
        assert count_lines(self.folder) == 6
        process = start(*self.words, "--devices", 2, "--num-workers", 0, code=CODE)
        output, errors = process.communicate(timeout=60)
        assert (process.returncode, errors) == (0, f"report: {self.folder.parent / 'report.html'}\n")
        assert "quickstart: accuracy" in output
        assert count_lines(self.folder) == 12
        texts = read_texts(self.folder)
        assert texts == {name: name for name in texts}


@pytest.fixture
def command(tmp_path: Path) -> Iterator[Command]:
    command = Command(write_questions(tmp_path))
    yield command
    if command.process.poll() is None:
        os.killpg(command.process.pid, signal.SIGKILL)


STORED = "6 of 12 answers to quickstart are stored; the same command goes on\n"


def test_answers_to_many_benchmarks_are_told_together(tmp_path: Path) -> None:
    stop = Stop(Place())
    stop.runs = [types.SimpleNamespace(name=f"shelf-{n}", folder=tmp_path, samples=[0] * 500) for n in range(5)]  # type: ignore[misc]
    assert stop._tell_stored() == "; 0 of 2,500 answers to 5 benchmarks are stored; the same command goes on"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_a_signal_ends_a_command_with_one_line(command: Command, number: signal.Signals) -> None:
    if number == signal.SIGINT:
        os.killpg(command.process.pid, number)  # as Ctrl-C does
    else:
        command.process.send_signal(number)
    assert command.end() == (128 + number, f"stopped by {number.name}; {STORED}")


def test_a_killed_process_takes_the_others_along_and_the_same_command_goes_on(command: Command) -> None:
    os.kill(command.children[1], signal.SIGKILL)
    assert command.end() == (1, f"error: process 2 of 3 was killed by SIGKILL; {STORED}")
    command.go_on()


def test_a_killed_first_process_takes_the_others_along(command: Command) -> None:
    command.process.kill()
    # The others hold its pipe until they end.
    assert command.end() == (-signal.SIGKILL, f"error: process 0 of 3 has died; {STORED}")


def test_handlers_are_as_before_once_a_command_is_done() -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with Stop(Place()).obey_signals():
        assert signal.getsignal(signal.SIGTERM) not in (before[1], signal.SIG_DFL)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_a_command_in_another_thread_leaves_signals_alone() -> None:
    before = signal.getsignal(signal.SIGTERM)
    found = []

    def look() -> None:
        with Stop(Place()).obey_signals():
            found.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert found == [before]


def test_a_command_that_is_stopped_before_it_begins_says_so() -> None:
    code = (
        "from evaluate.stop import *\nimport signal\n"
        "with Stop(Place()).obey_signals():\n    signal.raise_signal(signal.SIGTERM)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert (done.returncode, done.stderr) == (143, "stopped by SIGTERM; nothing was begun\n")
