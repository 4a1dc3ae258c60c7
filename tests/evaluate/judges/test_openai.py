"""The judge over real connections: every call ends, none is wasted, and nobody ever sees the key."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import Sequence
from typing import Any

import pytest

from evaluate.judges.call import CallError, Completion, JudgeError, Server, Usage
from evaluate.judges.money import Budget, Price
from evaluate.judges.openai import OpenAIJudge
from evaluate.judges.pace import Pace
from evaluate.judging import Message, Reply, Request
from tests.judge_server import Answer, JudgeServer, serve_judge

KEY = "sk-secret-0123456789"
PRICE = Price(1.0, 1.0, 1.0)


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def ask(url: str, words: Sequence[str], *, check: bool = False, seconds: float = 0.4, **more: Any) -> list[Any]:
    """Ask everything at once; what comes of each."""

    async def run() -> list[Any]:
        judge = OpenAIJudge(
            Server("judge", url), KEY, Budget(PRICE), Pace(200), seconds=seconds, draw=lambda failures: 0.02 * failures
        )
        await judge.open()
        try:
            if check:
                await judge.check()
            requests = [Request((Message("user", (one,)),), 5, **more) for one in words]
            return await asyncio.gather(*map(judge.complete, requests), return_exceptions=True)
        finally:
            await judge.close()

    return asyncio.run(run())


def misbehave(words: str, times: int) -> Answer:
    """Every kind of fault by the number of the question; nothing lasts longer than five attempts."""
    number = int(words)
    error = {"error": {"message": "later"}}
    faults = [
        [],
        [Answer(status=429, error=error)],
        [Answer(status=429, error=error, headers={"retry-after": "0.1"})],
        [Answer(status=500, error=error), Answer(status=503, error=error)],
        [Answer(part=0.5)],
        [Answer(content=b'{"choices": [{"mess')],
        [Answer(content=b"<html>"), Answer(content=b'{"error": "odd"}')],
        [Answer(status=408, error=error), Answer(status=409, error=error)],
    ][number % 8]
    if number % 8 in (1, 2) and number > 64:
        faults = []
    if number == 17:
        faults = [Answer(seconds=1.5)]
    if number == 18:
        faults = [Answer(status=502, error=error)] * 5
    return faults[times] if times < len(faults) else Answer(f"reply {words}", seconds=0.05)


def test_four_hundred_calls_end_whatever_the_server_does() -> None:
    words = [str(number) for number in range(400)]
    with serve_judge(JudgeServer(misbehave)) as server:
        results = ask(server.url, words, seconds=1.0)
    assert [one.reply.text for one in results] == [f"reply {word}" for word in words]
    assert set(server.served.values()) - {2} == {1}
    assert [word for word, times in server.served.items() if times == 2] in ([], ["17"])  # nobody waited for it
    assert [results[number].attempts for number in (0, 1, 3, 17, 18)] == [1, 2, 3, 2, 6]
    assert server.most_busy >= 4
    assert results[0].usage == Usage(100, 10, 2)
    assert (results[0].model, results[0].fingerprint) == ("judge-2024-01-01", "fp")


def test_what_ends_a_call() -> None:
    def decide(words: str, times: int) -> Answer:
        error = {"error": {"message": words, "code": words.split()[0]}}
        return {
            "refuse": Answer("", refusal="I will not"),
            "filter": Answer("", finish_reason="content_filter"),
            "cut": Answer("half", finish_reason="length"),
            "content_filter on": Answer(status=400, error=error),
            "context_length_exceeded by 7": Answer(status=400, error=error),
            "strange": Answer(status=400, error=error),
            "down": Answer(status=500, error=error),
        }[words]

    words = ["refuse", "filter", "cut", "content_filter on", "context_length_exceeded by 7", "strange", "down"]
    with serve_judge(JudgeServer(decide)) as server:
        results = ask(server.url, words)
    assert [one.reply for one in results[:3]] == [
        Reply("", "stop", "I will not"), Reply("", "content_filter"), Reply("half", "length")
    ]  # fmt: skip
    assert [one.reply.finish_reason for one in results[3:5]] == ["content_filter", "context_length"]
    assert all(isinstance(one, CallError) for one in results[5:])
    assert str(results[6]) == "code 500: down, after 6 attempts"
    assert [server.asked[word] for word in words] == [1] * 6 + [6]


def test_a_parameter_that_the_server_does_not_know_is_left_out_and_named() -> None:
    def refuse(words: str, times: int) -> Answer:
        wrong = ("seed", "temperature", "max_tokens")
        if times < len(wrong):
            said = f"Unsupported parameter: '{wrong[times]}' is not supported with this model."
            return Answer(status=400, error={"error": {"message": said, "param": wrong[times]}})
        return Answer()

    with serve_judge(JudgeServer(refuse)) as server:
        [result] = ask(server.url, ["a"], seed=0, temperature=0.5)
    assert isinstance(result, Completion)
    assert result.dropped == ("max_tokens->max_completion_tokens", "seed", "temperature")
    assert [sorted(set(body) - {"model", "messages"}) for body in server.bodies] == [
        ["max_tokens", "seed", "temperature"],
        ["max_tokens", "temperature"],
        ["max_tokens"],
        ["max_completion_tokens"],
    ]
    assert result.attempts == 1


@pytest.mark.parametrize(
    ("status", "error", "remedy"),
    [
        (401, {"error": {"message": f"Incorrect API key provided: {KEY}"}}, "check OPENAI_API_KEY"),
        (404, {"error": {"message": "The model does not exist", "code": "model_not_found"}}, "--judge-model"),
        (400, {"error": {"message": "model judge not found"}}, "--judge-model"),
        (429, {"error": {"message": "your quota is used up", "code": "insufficient_quota"}}, "see to the account"),
    ],
)
def test_what_every_call_would_meet_is_one_line(status: int, error: Any, remedy: str) -> None:
    with serve_judge(JudgeServer(lambda words, times: Answer(status=status, error=error))) as server:
        with pytest.raises(JudgeError) as caught:
            ask(server.url, ["a"] * 9, check=True)
        assert server.asked == {"Hi": 1}
    text = str(caught.value)
    assert remedy in text
    assert text.startswith("judge: expected answers of judge at http://127.0.0.1:")
    assert "\n" not in text
    assert KEY not in text


def test_no_server_is_told_at_once_and_one_that_dies_after_a_while() -> None:
    with pytest.raises(JudgeError, match=r"got the connection failed: .*; see whether it runs"):
        ask("http://127.0.0.1:9/v1", ["a"], check=True)
    with serve_judge(JudgeServer(lambda words, times: Answer(status=500, error={}))) as server:
        results = ask(server.url, [str(number) for number in range(24)])
    told = str(next(x for x in results if isinstance(x, JudgeError)))
    # Others that were in flight may fail before the first of them is told.
    assert re.search(r"got (1[6-9]|2[0-4]) failed calls in a row, the last: code 500", told)


def test_nobody_sees_the_key(caplog: pytest.LogCaptureFixture) -> None:
    answers = {
        "echo": Answer(f"your key is {KEY}", refusal=f"no, {KEY}"),
        "wrong": Answer(status=422, error={"error": {"message": f"bad {KEY}"}}),
        "json": Answer(status=500, error=f"bad {KEY}"),
        "body": Answer(content=f"key {KEY}".encode()),
        "odd": Answer(content=f'{{"key": "{KEY}"}}'.encode()),
    }
    caplog.set_level(logging.DEBUG)
    with serve_judge(JudgeServer(lambda words, times: answers[words], model=f"model-{KEY}")) as server:
        results = ask(server.url, list(answers))
    assert server.keys == {f"Bearer {KEY}"}
    assert results[0].reply.text == "your key is ***"
    assert results[0].model == "model-***"
    assert all(isinstance(one, CallError) for one in results[1:])
    told = "".join(repr(one) for one in results) + repr(OpenAIJudge(Server("m"), KEY, Budget(), Pace(1)))
    ours = [record.getMessage() for record in caplog.records if record.name.startswith(("evaluate", "openai"))]
    assert KEY not in told + "".join(ours)


def test_usage_that_nobody_can_have_had_is_not_known_and_parts_are_joined() -> None:
    parts = [{"type": "text", "text": "0."}, {"type": "text", "text": "5"}, {"type": "other"}]
    answers = {
        "less": Answer(usage=(-(10**30), 2)),
        "parts": Answer(content=json.dumps({"choices": [{"message": {"content": parts}}]}).encode()),
        "deep": Answer(content=b"[" * 200_000),
    }
    with serve_judge(JudgeServer(lambda words, times: answers[words])) as server:
        less, joined, deep = ask(server.url, [*answers])
    assert (less.usage, less.reply.text) == (None, "5")
    assert joined.reply.text == "0.5"
    assert "expected JSON, got 200000 bytes" in str(deep)


def test_requests_are_not_sent_elsewhere_unless_the_user_says_so() -> None:
    with serve_judge() as other:
        away = {"location": other.url + "/chat/completions"}
        with serve_judge(JudgeServer(lambda words, times: Answer(status=307, headers=away))) as server:
            [result] = ask(server.url, ["a"])
    assert re.search(rf"got code 307, which sends all requests to {other.url}.*; name that address with", str(result))
    assert not other.asked


def test_a_limit_that_the_first_call_would_pass_is_told_as_such() -> None:
    async def run() -> None:
        judge = OpenAIJudge(Server("judge", "http://127.0.0.1:9/v1"), KEY, Budget(PRICE, most=1e-12), Pace(2))
        await judge.open()
        try:
            await judge.check()
        finally:
            await judge.close()

    with pytest.raises(JudgeError, match=r"^judge: --max-cost of \$1e-12.*; allow more"):
        asyncio.run(run())


def test_what_is_no_judge_is_told_after_two_requests() -> None:
    with serve_judge(JudgeServer(lambda words, times: Answer(content=b"<html>"))) as server:
        with pytest.raises(JudgeError, match=r"got expected JSON, got 6 bytes.*; see whether it runs"):
            ask(server.url, ["a"], check=True)
        assert sum(server.asked.values()) == 2
