"""Progress of what takes long: a bar on a terminal, a line now and then in a log file."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any

_LINE_SECONDS = 20.0


class Progress:
    """Shows how far something is, how fast it goes and how long it will take; nothing where it is done at once.

    Args:
        label: what is being done.
        unit: to what.
        done: so much was done before; it does not count into the rate.
        first: seconds until the first line.
    """

    def __init__(self, label: str, unit: str = "rows", done: int = 0, first: float = _LINE_SECONDS) -> None:
        self.label = label
        self.unit = unit
        self.start = done
        self.bar: Any = None
        self.begin = time.monotonic()
        self.next = self.begin + first
        self.told: tuple[int, int] | None = None

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Leave the bar as it is."""
        if self.bar is not None:
            self.bar.close()

    def update(self, done: int, total: int, note: str = "") -> None:
        """So much of all is done; the note is shown beside it."""
        if sys.stderr.isatty():
            self._move_bar(done, total, note)
            return
        now = time.monotonic()
        is_end = done == total and self.told not in (None, (done, total))
        if now > self.next or is_end:
            self.next = now + _LINE_SECONDS
            self.told = done, total
            parts = [f"{self.label}: {done:,} of {total:,} {self.unit}", *self._measure(done, total, now - self.begin)]
            print(", ".join([*parts, note] if note else parts), file=sys.stderr, flush=True)

    def _move_bar(self, done: int, total: int, note: str) -> None:
        if self.bar is None:
            from tqdm import tqdm

            self.bar = tqdm(
                total=total,
                initial=self.start,
                desc=self.label,
                unit=f" {self.unit}",
                unit_scale=True,
                dynamic_ncols=True,
            )
        if note:
            self.bar.set_postfix_str(note, refresh=False)
        self.bar.update(done - self.bar.n)

    def _measure(self, done: int, total: int, seconds: float) -> list[str]:
        rate = (done - self.start) / seconds if seconds else 0.0
        if not rate:
            return [tell_time(seconds)]
        speed = f"{rate:,.0f}/s" if rate >= 10 else f"{rate:.2g}/s"
        return [speed, tell_time(seconds) if done == total else f"{tell_time((total - done) / rate)} left"]


def tell_time(seconds: float) -> str:
    """A duration for people: the two largest units."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
