"""The desk: equal calls are asked once, and a reply is stored before anybody sees it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from evaluate.judges.call import Call, CallError, Completion, Server
from evaluate.judges.desk import Desk
from evaluate.judges.store import ReplyStore
from evaluate.judging import Message, Reply, Request


class Slow:
    """Answers with a number that counts."""

    def __init__(self) -> None:
        self.calls = 0

    async def complete(self, request: Request) -> Completion:
        self.calls += 1
        number = self.calls
        await asyncio.sleep(0.01)
        if request.messages[0].parts == ("bad",):
            raise CallError("no")
        return Completion(Reply(str(number)))


def ask(words: str) -> Call:
    return Call(Server("judge"), Request((Message("user", (words,)),), 5))


def test_equal_calls_are_asked_once(tmp_path: Path) -> None:
    judge, store = Slow(), ReplyStore(tmp_path)

    async def run() -> list[Completion | BaseException]:
        desk = Desk(store, store, judge)
        calls = [desk.ask(ask(words)) for words in ("a", "a", "b", "a", "bad", "bad")]
        return await asyncio.gather(*calls, return_exceptions=True)

    *good, first, second = asyncio.run(run())
    assert [one.reply.text for one in good if isinstance(one, Completion)] == ["1", "1", "2", "1"]
    assert isinstance(first, CallError)
    assert isinstance(second, CallError)
    assert judge.calls == 3
    desk = Desk(store, absence="nobody is there")
    assert asyncio.run(desk.ask(ask("b"))).reply.text == "2"
    assert list(desk.found) == [ask("b").key]
    with pytest.raises(CallError, match=r"nobody is there \(request [0-9a-f]{12}\)"):
        asyncio.run(desk.ask(ask("bad")))
