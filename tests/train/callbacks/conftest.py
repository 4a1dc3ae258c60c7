"""A clock for the callbacks."""

from __future__ import annotations

import pytest


class Clock:
    """Time that passes only when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def perf_counter(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """What the callbacks read their time from."""
    clock = Clock()
    for module in ("progress", "charts"):
        monkeypatch.setattr(f"train.callbacks.{module}.time", clock)
    return clock
