"""The pace against simulated servers: no clock, no network."""

from __future__ import annotations

import heapq
import math

from evaluate.judges.pace import Pace, Ticket


def simulate(rate: float, size: float, count: int, *, names_time: bool, latency: float = 0.05) -> tuple[float, int]:
    """The seconds that so many calls take against a bucket, and how many requests it refused."""
    pace, now, left, last, refused, in_flight = Pace(64), 0.0, size, 0.0, 0, 0
    events: list[tuple[float, int, bool]] = []  # a reply, or a refused call that has waited
    waiting, number, done = min(128, count), 0, 0
    later = count - waiting
    while done < count:
        turn: Ticket | float = math.inf
        while waiting and in_flight < pace.window and isinstance(turn := pace.take(now), Ticket):
            waiting, number = waiting - 1, number + 1
            left, last = min(size, left + (now - last) * rate), now
            if left >= 1:
                left, in_flight = left - 1, in_flight + 1
                heapq.heappush(events, (now + latency, number, True))
                continue
            wait = math.ceil((1 - left) / rate) if names_time else 0.0
            refused += 1
            pace.refuse(now, turn, wait)
            heapq.heappush(events, (now + (wait or number % 16 / 8), number, False))
        if isinstance(turn, float) and (not events or now + turn < events[0][0]):
            now += turn + 1e-6
            continue
        now, _, is_reply = heapq.heappop(events)
        if is_reply:
            in_flight, done = in_flight - 1, done + 1
            waiting, later = (waiting + 1, later - 1) if later else (waiting, later)
            pace.pass_(now, latency, 120)
        else:
            waiting += 1
    return now, refused


def test_nine_tenths_of_what_a_server_permits_are_used() -> None:
    for rate, size, names_time in ((50, 50, True), (50, 50, False), (20, 20, True)):
        count = 40 * rate
        seconds, refused = simulate(rate, size, count, names_time=names_time)
        assert count / (size + rate * seconds) > 0.9, (rate, size, names_time, seconds)
        assert refused < 0.5 * count


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
                pace.pass_(now, 0.01, 120)
                passed += 1
        assert passed > 1000


def test_a_named_time_is_a_pause_for_all_requests() -> None:
    pace = Pace(64)
    tickets = [pace.take(0.0) for _ in range(3)]
    assert all(isinstance(ticket, Ticket) for ticket in tickets)
    first, second, _ = tickets
    assert isinstance(first, Ticket)
    assert isinstance(second, Ticket)
    pace.pass_(0.1, 0.1, 120)
    pace.refuse(0.1, first, 7.0)
    pace.refuse(0.2, second, 2.0)  # less than what was named before
    assert pace.take(1.0) == 7.1 - 1.0
    assert isinstance(pace.take(7.2), Ticket)


def test_more_requests_in_flight_with_every_reply_and_half_of_them_after_a_time_out() -> None:
    pace = Pace(20)
    for _ in range(40):
        pace.pass_(0.1, 0.1, 120)
    assert pace.window == 20
    pace.shrink()
    assert pace.window == 10
    pace.pass_(0.1, 100, 120)  # a server that makes requests wait gets no more
    assert pace.window == 10


def test_a_rate_of_the_users_is_kept() -> None:
    pace = Pace(64, rate=2.0)
    sent = 0
    for tick in range(1001):
        sent += isinstance(pace.take(tick / 100), Ticket)
    assert 19 <= sent <= 21
