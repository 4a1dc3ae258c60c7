"""How fast a server may be asked: the permitted rate is found by being refused, and used to nearly its whole."""

from __future__ import annotations

import math
from dataclasses import dataclass

_TOLERABLE = 0.025
"""Share of refusals at which the rate neither grows nor falls."""
_MOST_GAIN, _LEAST_GAIN, _DECAY = 0.4, 0.05, 0.8
"""What a refusal takes from the logarithm of the rate: at first, at last, and how one becomes the other."""
_ENOUGH, _SPAN = 4, 2.0
"""Requests that passed, and seconds, from which a rate can be read."""
_SURE, _PROVEN = 0.97, 0.85
"""Share of what passes now, and of the best that ever passed, below which the rate does not fall."""
_MANY = 4
"""Refusals in a row after which nothing is sent for a while."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 8.0


@dataclass(frozen=True, slots=True)
class Ticket:
    """The leave to send one request: the how manieth, and when."""

    number: int
    sent: float


class Pace:
    """Says when the next request may be sent; knows no clock, no network.

    Requests are evenly spaced. Every one that has to wait for its turn raises the rate a little, every refusal lowers
    it, so that it stays where one request in forty is refused: there, nearly all that the server permits is used. The
    steps are large while the rate is searched and small once it is known; the rate never falls below what is seen to
    pass. A time that the server names is the business of the request that was refused; only where several in a row
    are refused, all of them wait for it, or for twice as long each time, and the rate is kept for afterwards.

    Args:
        most: requests in flight, and requests per second to begin with. A time-out halves those in flight.
        rate: most requests per second.
    """

    def __init__(self, most: int, rate: float = math.inf) -> None:
        self.most, self.cap = most, rate
        self.window, self.rate = float(most), float(most)
        self._gain, self._quiet = _MOST_GAIN, 0
        self._number = self._lowered = 0
        """Requests that were sent at all, and until the rate was last lowered."""
        self._row, self._pause, self._pause_until = 0, 0.0, 0.0
        self._credit, self._credit_at, self._has_waited = 1.0, 0.0, False
        self._span: Ticket | None = None
        """With which the span began over which `_refused` counts."""
        self._refused = 0
        self._best, self._best_share = 0.0, 0.0

    def take(self, now: float) -> Ticket | float:
        """The leave to send now, or the seconds until it is worth asking again."""
        if now < self._pause_until:
            return self._pause_until - now
        rate = min(self.rate, self.cap)
        self._credit = min(1.0, self._credit + max(0.0, now - self._credit_at) * rate)
        self._credit_at = now
        if self._credit < 1:
            self._has_waited = True
            return (1 - self._credit) / rate
        self._credit -= 1
        if self._has_waited and self.rate <= self.cap:
            self._grow()
        self._has_waited = False
        self._number += 1
        return Ticket(self._number, now)

    def pass_(self, seconds: float, limit: float) -> None:
        """A reply came after so many seconds, of as many as it may take."""
        if seconds < limit / 4:  # a server that makes requests wait has enough of them
            self.window = min(float(self.most), self.window + 1)

    def shrink(self) -> None:
        """No reply came in time."""
        self.window = max(1.0, self.window / 2)

    def refuse(self, now: float, ticket: Ticket, wait: float) -> None:
        """A request was refused, with the time to wait that the server named, or 0."""
        if self._span is None:
            self._span = ticket
        self._refused += ticket.number > self._span.number
        if ticket.number <= self._lowered:
            return  # it was sent at a rate that is not used any more
        between = ticket.number - self._lowered - 1
        self._row = 1 if between else self._row + 1
        if between > 1:  # a single one may only have been overtaken
            self._pause = 0.0
        floor = self._measure(self._span, ticket)
        if self._row <= _MANY:
            self.rate = max(self.rate * math.exp(-self._gain), min(self.rate, floor))
            self._gain = max(_LEAST_GAIN, _DECAY * self._gain)
        if self._row >= _MANY:
            self._pause = min(_LONGEST_PAUSE, max(2 * self._pause, _FIRST_PAUSE))
            self._pause_until = max(self._pause_until, now + max(wait, self._pause))
        self._lowered, self._quiet = self._number, 0

    def _grow(self) -> None:
        """A little, and more after a long time without refusals."""
        self._quiet += 1
        if self._quiet > 1 / _TOLERABLE:
            self._gain = min(_MOST_GAIN, 1.03 * self._gain)
        self.rate *= math.exp(self._gain * _TOLERABLE)

    def _measure(self, begin: Ticket, end: Ticket) -> float:
        """The rate that is known to pass; refusals come soon, so what was not refused by now counts as passed."""
        sent, seconds = end.number - begin.number, end.sent - begin.sent
        passed = sent - self._refused
        floor = _PROVEN * self._best
        if passed >= _ENOUGH:
            floor = max(floor, _SURE * passed / seconds)
        if seconds > _SPAN and passed > 0:
            share = self._refused / sent
            if passed / seconds >= self._best:
                self._best, self._best_share = passed / seconds, share
            elif passed / seconds >= _SURE * self._best:
                self._best_share = share
            elif share > 1.5 * self._best_share + 0.2:  # the server permits less than it did
                self._best = 0.0
            self._span, self._refused = end, 0
        return floor
