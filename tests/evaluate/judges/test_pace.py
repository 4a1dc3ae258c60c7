"""The pace against simulated servers: no clock, no network."""

from __future__ import annotations

import heapq
import math
import random
from collections import deque
from dataclasses import dataclass, field
from itertools import count as count_up

from evaluate.judges.pace import Pace, Ticket

TRAVEL = 0.002
"""Seconds of a request to the server, at most."""


@dataclass
class Simulation:
    """Calls against a bucket, with a clock of its own.

    Attributes:
        rate: per second, that the server permits.
        size: of its bucket.
        names: the time that it asks to wait: none, the exact one, or whole seconds.
        latency: of a reply.
        closed: from when until when it refuses everything.
    """

    rate: float
    size: float
    names: str = "none"
    latency: float = 0.5
    closed: tuple[float, float] = (0.0, 0.0)
    refused: list[float] = field(default_factory=list)
    most_in_flight: int = 0

    def ask(self, count: int) -> float:
        """The seconds that so many calls take."""
        source, pace, now, in_flight, done = random.Random(0), Pace(64), 0.0, 0, 0
        left, last, asleep, order = self.size, 0.0, False, count_up()
        line = deque([0] * min(128, count))
        later = count - len(line)
        events: list[tuple[float, int, str, tuple[Ticket, int] | None]] = []
        while done < count:
            while line and in_flight < int(pace.window) and not asleep:
                turn = pace.take(now)
                if isinstance(turn, Ticket):
                    in_flight += 1
                    arrival = now + source.uniform(TRAVEL / 2, TRAVEL)
                    heapq.heappush(events, (arrival, next(order), "arrive", (turn, line.popleft())))
                else:
                    asleep = True
                    heapq.heappush(events, (now + turn + source.uniform(1e-4, 1e-3), next(order), "wake", None))
            self.most_in_flight = max(self.most_in_flight, in_flight)
            now, _, kind, sent = heapq.heappop(events)
            if sent is None:
                asleep = False
                continue
            ticket, failures = sent
            if kind == "again":
                line.append(failures)
            elif kind == "reply":
                in_flight, done = in_flight - 1, done + 1
                line.extend([0] * min(1, later))
                later = max(0, later - 1)
                pace.pass_(now - ticket.sent, 120)
            else:
                left, last = min(self.size, left + (now - last) * self.rate), now
                if left >= 1 and not self.closed[0] <= now < self.closed[1]:
                    left -= 1
                    reply = now + self.latency * source.uniform(0.7, 1.3)
                    heapq.heappush(events, (reply, next(order), "reply", sent))
                    continue
                in_flight -= 1
                self.refused.append(now)
                exact = max(0.0, 1 - left) / self.rate
                wait = {"none": 0.0, "exact": exact, "whole": float(math.ceil(exact))}[self.names]
                pace.refuse(now + TRAVEL / 2, ticket, wait)
                again = now + (wait or source.uniform(0, 2.0 ** (failures - 2)))
                heapq.heappush(events, (again, next(order), "again", (ticket, failures + 1)))
                assert failures < 5, "no call fails for good"
        return now


def test_nine_tenths_of_what_a_server_permits_are_used() -> None:
    # Where nothing is saved up, a request that comes too late is lost: 50 per second with a bucket of 1 are out of
    # reach. So is a short run whose last refused call has to wait for a whole second.
    for rate, size, names, latency, count in (
        (2, 5, "none", 0.5, 200),
        (2, 50, "whole", 2.0, 200),
        (10, 1, "exact", 2.0, 400),
        (10, 5, "none", 0.1, 200),
        (10, 50, "whole", 0.5, 200),
        (50, 5, "none", 0.1, 200),
        (50, 5, "whole", 0.1, 1000),
        (50, 10, "none", 0.5, 200),
        (50, 10, "exact", 0.5, 400),
        (50, 50, "none", 0.1, 400),
        (50, 50, "whole", 0.5, 2000),
    ):
        simulation = Simulation(rate, size, names, latency)
        seconds = simulation.ask(count)
        least = (count - size) / rate + latency  # the last call can be sent no earlier
        assert least / seconds > 0.9, (rate, size, names, latency, count, seconds)
        assert len(simulation.refused) < max(0.12 * count, 80)
        assert simulation.most_in_flight <= 64


def test_a_server_that_refuses_everything_is_left_alone_and_then_used_as_before() -> None:
    for closed in ((0.0, 10.0), (5.0, 65.0)):
        simulation = Simulation(50, 10, latency=0.3, closed=closed)
        seconds = simulation.ask(1000)
        assert sum(closed[0] <= moment < closed[1] for moment in simulation.refused) < 40
        assert seconds < 20 + (closed[1] - closed[0]) + 10


def test_an_unlimited_server_is_asked_faster_and_faster() -> None:
    assert Simulation(1e9, 1e9, latency=0.05).ask(2000) < 2000 * 0.05 / 64 + 3


def test_a_limit_that_falls_is_found_again() -> None:
    pace, now, passed, refused, free = Pace(64), 0.0, 0, 0, 0.0
    while now < 60:
        turn = pace.take(now)
        if not isinstance(turn, Ticket):
            now += turn + 1e-6
        elif now < free:
            pace.refuse(now, turn, 0.0)
            refused += now > 40
        else:
            free = max(free, now - 0.2) + (1 / 50 if now < 20 else 1 / 10)
            passed += now > 40
    assert passed > 0.9 * 20 * 10
    assert refused < 0.3 * passed


def test_refusals_that_have_nothing_to_do_with_the_rate_do_not_end_it() -> None:
    for wait in (0.0, 0.05):
        pace, now, passed = Pace(64), 0.0, 0
        while now < 60:
            turn = pace.take(now)
            if not isinstance(turn, Ticket):
                now += turn + 1e-6
                continue
            now += 0.01  # the server itself is no faster
            if turn.number % 6 == 0:
                pace.refuse(now, turn, wait)
            else:
                pace.pass_(0.01, 120)
                passed += 1
        assert passed > 1000


def test_a_named_time_is_a_pause_for_all_where_several_in_a_row_are_refused() -> None:
    pace = Pace(64)
    for moment in range(6):
        turn = pace.take(float(moment))
        assert isinstance(turn, Ticket), "three in a row are not enough"
        if moment != 1:
            pace.refuse(float(moment), turn, 7.0)
    assert pace.take(6.0) == 5.0 + 7.0 - 6.0
    assert isinstance(pace.take(12.0), Ticket)


def test_half_of_the_requests_in_flight_after_a_time_out_and_more_with_every_reply() -> None:
    pace = Pace(20)
    pace.shrink()
    assert pace.window == 10
    pace.pass_(100, 120)  # a server that makes requests wait gets no more
    assert pace.window == 10
    for _ in range(40):
        pace.pass_(0.1, 120)
    assert pace.window == 20


def test_a_rate_of_the_users_is_kept() -> None:
    pace = Pace(64, rate=2.0)
    sent = 0
    for tick in range(1001):
        sent += isinstance(pace.take(tick / 100), Ticket)
    assert 19 <= sent <= 21
