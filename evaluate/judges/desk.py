"""Where calls are handed in: a reply comes from the store, from an equal call in flight, or from the judge."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Protocol

from evaluate.judges.call import Call, CallError, Completion, Judge
from evaluate.judges.store import ReplyStore


class Replies(Protocol):
    """Replies that are there already."""

    def find(self, call: Call) -> Completion | None:
        """The reply to this very request."""


@dataclass
class Desk:
    """Gives every call its one reply.

    Attributes:
        replies: looked at first.
        store: gets what the judge says; None where it says nothing.
        judge: asked for the rest; None where nobody is.
        absence: why nobody is, for the verdicts.
        asked: completions of the judge by key.
        found: completions that were stored before, by key.
    """

    replies: Replies
    store: ReplyStore | None = None
    judge: Judge | None = None
    absence: str = "there is no stored reply"
    asked: dict[str, Completion] = field(default_factory=dict)
    found: dict[str, Completion] = field(default_factory=dict)
    _in_flight: dict[str, asyncio.Future[Completion]] = field(default_factory=dict)

    def find(self, call: Call) -> Completion | None:
        """What is stored."""
        completion = self.replies.find(call)
        if completion is not None and call.key not in self.asked:
            self.found[call.key] = completion
        return completion

    async def ask(self, call: Call) -> Completion:
        """The reply; stored before anybody sees it.

        Raises:
            CallError: there is none.
            JudgeError: no call would get one.
        """
        key = call.key
        waiting = self._in_flight.get(key)
        if waiting is not None:
            return await asyncio.shield(waiting)
        stored = self.find(call)
        if stored is not None:
            return stored
        if self.judge is None or self.store is None:
            raise CallError(f"{self.absence} (request {key[:12]})")
        future = self._in_flight[key] = asyncio.get_running_loop().create_future()
        try:
            completion = await self.judge.complete(call.request)
            self.store.keep(call, completion)
            self.asked[key] = completion
        except BaseException as error:
            future.set_exception(error if isinstance(error, Exception) else CallError("stopped"))
            future.exception()  # nobody else may be waiting for it
            raise
        else:
            future.set_result(completion)
            return completion
        finally:
            del self._in_flight[key]
