"""Progress of what happens before training: a bar on a terminal, a line now and then in a log file."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any

_LINE_SECONDS = 20


class Progress:
    """Shows how far something is; nothing where it is done at once.

    Args:
        label: what is being done.
        unit: to what.
    """

    def __init__(self, label: str, unit: str = "rows") -> None:
        self.label = label
        self.unit = unit
        self.bar: Any = None
        self.begin = self.last = time.monotonic()

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.bar is not None:
            self.bar.close()

    def update(self, done: int, total: int) -> None:
        """So much of all is done."""
        if sys.stderr.isatty():
            if self.bar is None:
                from tqdm import tqdm

                self.bar = tqdm(total=total, desc=self.label, unit=f" {self.unit}", unit_scale=True, dynamic_ncols=True)
            self.bar.update(done - self.bar.n)
            return
        now = time.monotonic()
        if now - self.last > _LINE_SECONDS or (done == total and self.last > self.begin):
            self.last = now
            print(
                f"{self.label}: {done:,} of {total:,} {self.unit}, {now - self.begin:.0f} s",
                file=sys.stderr,
                flush=True,
            )
