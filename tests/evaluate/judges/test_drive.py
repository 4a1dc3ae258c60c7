"""Driving: verdicts in the order of the input, however long each takes, and the same ones every time."""

from __future__ import annotations

import asyncio
import random

import pytest

from evaluate.judges.call import Call, CallError, Completion, JudgeError, Server
from evaluate.judges.drive import Graded, Work, count, drive, look_up
from evaluate.judging import Grading, Message, Reply, Request, Verdict
from internvl.errors import InputError


def grade(name: str, rounds: int = 2) -> Grading:
    said = []
    for repeat in range(rounds):
        reply = yield Request((Message("user", (name,)),), 5, repeat=repeat)
        said.append(reply.text)
    return Verdict(" ".join(said))


def prepare(name: str, rounds: int = 2) -> Work:
    return Work(name, lambda: grade(name, rounds), lambda request: Call(Server("judge"), request))


async def answer(call: Call) -> Completion:
    await asyncio.sleep(random.random() / 100)
    words = call.request.messages[0].parts[0]
    if words == "3":
        raise CallError("gone")
    if words == "stop":
        raise JudgeError("all is gone")
    return Completion(Reply(f"{words}.{call.request.repeat}"))


def test_results_keep_the_order_of_the_input() -> None:
    ended: list[int] = []
    works = [prepare(str(number)) for number in range(30)]
    graded = asyncio.run(drive(works, answer, workers=7, watch=lambda number, one: ended.append(number)))
    assert [str(one.verdict) for n, one in enumerate(graded) if n != 3] == [f"{n}.0 {n}.1" for n in range(30) if n != 3]
    assert graded[3] == Graded(Verdict("", "api_error", "gone"))
    assert (graded[3].verdict.status, graded[3].verdict.reason) == ("api_error", "gone")
    assert sorted(ended) == list(range(30))
    assert len(graded[0].keys) == 2
    assert count(graded) == {"ok": 29, "refusal": 0, "parse_error": 0, "api_error": 1, "no_prediction": 0}
    assert asyncio.run(drive([], answer, workers=7)) == []


def test_what_ends_everything() -> None:
    with pytest.raises(JudgeError):
        asyncio.run(drive([prepare(name) for name in ("1", "stop", *"456789")], answer, workers=2))

    def fail() -> Grading:
        raise KeyError("score")
        yield

    work = Work("shelf-7", fail, prepare("1").make_call)
    with pytest.raises(InputError, match=r"shelf-7: expected a rubric that judges every answer, got KeyError"):
        asyncio.run(drive([work], answer, workers=2))


def test_looking_up_stops_at_the_first_call_without_a_reply() -> None:
    known = {"a.0": Completion(Reply("7"))}

    def find(call: Call) -> Completion | None:
        return known.get(f"{call.request.messages[0].parts[0]}.{call.request.repeat}")

    missing = look_up(prepare("a"), find)
    assert isinstance(missing, Call)
    assert missing.request.repeat == 1
    known["a.1"] = Completion(Reply("8"))
    found = look_up(prepare("a"), find)
    assert isinstance(found, Graded)
    assert found.verdict == "7 8"
    assert look_up(prepare("a", 0), find) == Graded(Verdict(""))
