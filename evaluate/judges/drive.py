"""Many gradings at the same time: each gets its replies one after the other; results keep the order of the input."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from evaluate.judges.call import Call, CallError, Completion
from evaluate.judging import Grading, Request, Verdict
from evaluate.user_file import tell_error
from internvl.errors import InputError

Ask = Callable[[Call], Awaitable[Completion]]
Find = Callable[[Call], Completion | None]
MakeCall = Callable[[Request], Call]


@dataclass(frozen=True, slots=True)
class Work:
    """The judging of one answer, ready to begin, as often as wanted.

    Attributes:
        name: of the sample.
        begin: a new grading; deterministic in what it asks.
        make_call: what a request of it becomes.
    """

    name: str
    begin: Callable[[], Grading]
    make_call: MakeCall


@dataclass(frozen=True, slots=True)
class Graded:
    """How the judging of one answer ended.

    Attributes:
        verdict: always one.
        keys: of the calls that it took.
    """

    verdict: Verdict
    keys: tuple[str, ...] = ()


def look_up(work: Work, find: Find) -> Graded | Call:
    """Judge one answer with what is there already: how that ends, or the first call without a reply."""
    keys: list[str] = []
    grading = work.begin()
    try:
        request = _step(work, lambda: next(grading))
        while isinstance(request, Request):
            call = work.make_call(request)
            completion = find(call)
            if completion is None:
                return call
            keys.append(call.key)
            reply = completion.reply
            request = _step(work, lambda reply=reply: grading.send(reply))  # type: ignore[misc]
        return Graded(request, tuple(keys))
    finally:
        grading.close()


async def drive(
    works: Sequence[Work], ask: Ask, *, workers: int, watch: Callable[[int, Graded], None] = lambda number, graded: None
) -> list[Graded]:
    """Judge all answers.

    Args:
        works: one per answer.
        ask: gives a call its reply.
        workers: answers at the same time.
        watch: told the number and the end of each, in the order in which they end.

    Raises:
        JudgeError: no call would get a reply; what has one is stored.
    """
    results: dict[int, Graded] = {}
    line: Iterator[tuple[int, Work]] = iter(enumerate(works))

    async def work_off() -> None:
        for number, work in line:
            results[number] = await _grade(work, ask)
            watch(number, results[number])

    tasks = [asyncio.ensure_future(work_off()) for _ in range(min(workers, len(works)))]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return [results[number] for number in range(len(works))]


async def _grade(work: Work, ask: Ask) -> Graded:
    keys: list[str] = []
    grading = work.begin()
    try:
        request = _step(work, lambda: next(grading))
        while isinstance(request, Request):
            call = work.make_call(request)
            try:
                completion = await ask(call)
            except CallError as error:
                return Graded(Verdict("", "api_error", str(error)), tuple(keys))
            keys.append(call.key)
            reply = completion.reply
            request = _step(work, lambda reply=reply: grading.send(reply))  # type: ignore[misc]
        return Graded(request, tuple(keys))
    finally:
        grading.close()


def _step(work: Work, move: Callable[[], Request]) -> Request | Verdict:
    """The next request of a grading, or its verdict; a mistake in the rubric is told with the sample."""
    try:
        return move()
    except StopIteration as stop:
        return stop.value if isinstance(stop.value, Verdict) else Verdict(str(stop.value))
    except (InputError, OSError):
        raise
    except Exception as error:
        raise InputError(
            f"{work.name}: expected a rubric that judges every answer, got {tell_error(error)}; correct the rubric, "
            "and the same command goes on"
        ) from error


def count(graded: Iterable[Graded]) -> dict[str, int]:
    """How many verdicts have which status, all five by name."""
    counts = dict.fromkeys(("ok", "refusal", "parse_error", "api_error", "no_prediction"), 0)
    for one in graded:
        counts[one.verdict.status] += 1
    return counts
