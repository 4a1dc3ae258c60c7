"""How fast a server may be asked: the permitted rate is found by being refused, and used to nearly its whole."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

_FIRST_WINDOW = 8.0
_TOLERABLE = 0.05
"""Share of refusals that a rate may have where a refusal costs no pause."""
_LEAST_SPAN = 0.05
_LEAST_ESTIMATE, _MEAN_SPAN = 1.0, 3.0
"""Seconds until a rate is known or judged, and over which a mean is taken of what passes."""
_MEMORY = 60.0
_PROVEN = 0.85
"""Share of the best that passed in these seconds, below which the rate never goes."""
_USELESS = 3


@dataclass(frozen=True, slots=True)
class Ticket:
    """The leave to send one request: under which estimate it was given, the how manieth, at which rate."""

    estimate: int
    number: int
    rate: float


class Pace:
    """Says when the next request may be sent; knows no clock, no network.

    Nothing limits the rate until the server refuses. From then on requests are sent at the rate that it let through,
    which grows in growing steps while nothing is refused, carefully near a rate that was refused before. A server that
    names a time gets a pause of that length from all requests, and afterwards as many at once as the pause has earned,
    unless it is seen to refuse such bursts. Where no time is named, a refusal costs little, and the rate stays where
    one request in twenty is refused. The number of requests in flight grows with every reply; a time-out halves it.

    Args:
        most: requests in flight.
        rate: most requests per second.
    """

    def __init__(self, most: int, rate: float = math.inf) -> None:
        self.most, self.cap = most, rate
        self.window = min(_FIRST_WINDOW, float(most))
        self.rate = math.inf
        self._refused_rate = math.inf
        self._patience, self._held, self._step = 4.0, 0.0, 0.05
        self._estimate = self._number = 0
        self._allowance, self._burst = 0.0, math.inf
        self._pause_until = 0.0
        self._credit, self._credit_at = 0.0, 0.0
        self._begin: float | None = None
        """Of the span over which `_passed` and `_refused` count."""
        self._passed = self._refused = 0
        self._estimate_begin, self._estimate_passed, self._estimate_refused = 0.0, 0, 0
        self._share, self._useless = 0.0, 0
        self._passes: deque[float] = deque()
        self._best, self._best_at = 0.0, 0.0

    def take(self, now: float) -> Ticket | float:
        """The leave to send now, or the seconds until it is worth asking again."""
        if self._begin is None:
            self._begin = self._estimate_begin = self._credit_at = now
        if now < self._pause_until:
            return self._pause_until - now
        self._grow(now, self._begin)
        rate = min(self.rate, self.cap)
        if rate < math.inf:
            earned = min(1.0, self._credit + max(0.0, now - self._credit_at) * rate)
            self._credit, self._credit_at = max(self._credit, earned), now
            if self._credit < 1:
                return (1 - self._credit) / rate
            self._credit -= 1
        self._number += 1
        return Ticket(self._estimate, self._number, rate)

    def pass_(self, now: float, seconds: float, limit: float) -> None:
        """A reply came after so many seconds, of as many as it may take."""
        self._passes.append(now)
        while self._passes[0] < now - _MEAN_SPAN:
            self._passes.popleft()
        passing = len(self._passes) / _MEAN_SPAN
        if passing >= self._best or now - self._best_at > _MEMORY:
            self._best, self._best_at = passing, now
        self._passed += 1
        self._estimate_passed += 1
        if seconds < limit / 4:  # a server that makes requests wait has enough of them
            self.window = min(float(self.most), self.window + 1)

    def shrink(self) -> None:
        """No reply came in time."""
        self.window = max(1.0, self.window / 2)

    def refuse(self, now: float, ticket: Ticket, wait: float) -> None:
        """A request was refused, with the time to wait that the server named, or 0."""
        self._refused += 1
        self._estimate_refused += 1
        if wait and now + wait > self._pause_until:
            self._pause_until = self._begin = self._credit_at = self._held = now + wait
        is_first = self.rate == math.inf
        known = self._estimate_passed + self._estimate_refused
        if now - self._estimate_begin < _LEAST_ESTIMATE:
            return  # refusals of a moment may be chance
        if ticket.estimate < self._estimate:
            return  # of a rate that is not used any more
        share = self._estimate_refused / known
        if not is_first and not self._helps(share):
            pass
        elif wait:
            self._slow_down(now, ticket, wait)
        elif not self._track(now, share):
            return
        self._estimate += 1
        self._number = self._passed = self._refused = self._estimate_passed = self._estimate_refused = 0
        self._estimate_begin, self._begin = max(now, self._estimate_begin), max(now, self._pause_until)

    def _helps(self, share: float) -> bool:
        """Whether a lower rate has made refusals rarer; where it has not, they have nothing to do with it."""
        if 0.8 * self._share <= share <= 1.25 * self._share:
            self._useless += 1
        else:
            self._useless = 0
        self._share = share
        return self._useless < _USELESS

    def _grow(self, now: float, begin: float) -> None:
        """After a span of its own length, a rate that was used and not refused becomes a higher one."""
        span = now - begin
        if self.rate == math.inf or span < max(1.0, 8 / self.rate):
            return
        tolerable = max(_TOLERABLE, 1.25 * self._share) if self._useless >= _USELESS else _TOLERABLE
        is_clean = self._refused <= tolerable * (self._passed + self._refused)
        if is_clean and self._passed >= 0.7 * self.rate * span:
            below = self.rate < 0.94 * self._refused_rate
            if below or now - self._held > self._patience:
                ceiling = 0.95 * self._refused_rate if below else math.inf
                self.rate = min(self.rate * (1 + self._step), ceiling)
                self._step = min(1.0, 2 * self._step)
        self._begin, self._passed, self._refused = now, 0, 0

    def _track(self, now: float, share: float) -> bool:
        """Set the rate to a little more than what passes, where too much is refused; whether it was set."""
        span = max(now - self._estimate_begin, _LEAST_SPAN)
        if self.rate < math.inf and share <= _TOLERABLE:
            return False
        passed = 1.05 * max(self._estimate_passed, 1) / span
        self.rate = passed if self.rate == math.inf or share > 0.3 else 0.96 * self.rate
        self.rate = max(self.rate, _PROVEN * self._best)
        self._step, self._refused_rate, self._allowance = 0.02, math.inf, 0.0
        return True

    def _slow_down(self, now: float, ticket: Ticket, wait: float) -> None:
        """Set the rate below the one that was refused, and never below what passed."""
        is_first = self.rate == math.inf
        # The pause that follows belongs to what was saved up before the first request.
        span = now - self._estimate_begin + (wait if is_first else 0.0)
        passed = max(self._estimate_passed, 1) / max(span, _LEAST_SPAN)
        if is_first:
            self.rate, self._step = passed, 0.1
        elif ticket.number <= self._allowance:
            self._burst = max(1.0, 0.8 * (ticket.number - 1))
        else:
            is_near = self._patience > 4 or abs(ticket.rate - passed) < 0.3 * ticket.rate
            self._refused_rate = ticket.rate
            self.rate = max(passed, (0.9 if is_near else 0.6) * ticket.rate)
            self._step, self._patience = 0.02, min(60.0, 2 * self._patience)
        self.rate = max(self.rate, _PROVEN * self._best)
        self._allowance = self._credit = min(self._burst, self.rate * wait)
        self._credit_at = self._held = self._pause_until
