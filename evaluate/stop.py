"""Commands that end before they are done: at Ctrl-C, at SIGTERM, and when one of their processes is gone."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from evaluate.processes import Children, Place, is_orphan
from evaluate.records import PartCounter
from evaluate.run import Run

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_GRACE_SECONDS = 0.5
_NUM_NAMED = 4
"""Benchmarks that are told one by one."""


class Stop:
    """Ends a process at once, and says in one line how much is done.

    Nothing is unwound. What is answered is stored already, workers go with the process, and an exception out of nowhere
    may be swallowed, or leave half a package imported.

    Attributes:
        place: of this process.
        runs: whose answers are counted.
        children: end first.
    """

    def __init__(self, place: Place) -> None:
        self.place = place
        self.runs: list[Run] = []
        self.children: Children | None = None
        self._lock = threading.RLock()
        self._is_ending = False

    @contextmanager
    def obey_signals(self) -> Iterator[None]:
        """Let Ctrl-C, SIGTERM and the end of the terminal end the process; `nohup` still makes it deaf to the last."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        heard = [number for number in _SIGNALS if signal.getsignal(number) != signal.SIG_IGN]
        before = {number: signal.signal(number, self._stop) for number in heard}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        # The signal may come while the last threads of the first process are still there.
        end = time.monotonic() + (_GRACE_SECONDS if self.place.rank == 1 and number == signal.SIGTERM else 0)
        while not is_orphan(self.place) and time.monotonic() < end:
            time.sleep(0.02)
        if is_orphan(self.place):
            self.end_orphan()
        self.end(f"stopped by {signal.Signals(number).name}" if self.place.is_first else "", 128 + number)

    def end_orphan(self) -> NoReturn:
        """The first process is gone; one of the others says so."""
        self.end(f"error: process 0 of {self.place.count} has died" if self.place.rank == 1 else "", 1)

    def end(self, reason: str, code: int) -> NoReturn:
        """End the other processes and this one.

        Args:
            reason: what has happened; nothing is said where it is empty.
            code: what this process ends with.
        """
        self._lock.acquire()  # another thread that ends this process waits here for that
        if self._is_ending:
            os._exit(code)  # a second signal
        self._is_ending = True
        if self.children is not None:
            self.children.end()
        if reason:
            # Not through the file object, which may be in the middle of a line.
            bar = "\n" if sys.stderr.isatty() else ""
            os.write(2, f"{bar}{reason}{self._tell_stored()}\n".encode())
        os._exit(code)

    def _tell_stored(self) -> str:
        if not self.runs:
            return "; nothing was begun"
        counts = [(PartCounter(run.folder).answers, len(run.samples), run.name) for run in self.runs]
        if len(counts) > _NUM_NAMED:
            together = (sum(stored for stored, _, _ in counts), sum(asked for _, asked, _ in counts))
            counts = [(*together, f"{len(counts)} benchmarks")]
        told = ", ".join(f"{stored:,} of {asked:,} answers to {name}" for stored, asked, name in counts)
        return f"; {told} are stored; the same command goes on"
