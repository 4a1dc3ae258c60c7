"""The judge behind a server with chat completions: asks at the permitted rate, and again where that may help."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from functools import partial
from typing import Any

from evaluate.judges.call import CallError, Completion, JudgeError, Server, Usage, make_body
from evaluate.judges.faults import Fault, draw_wait, read_fault, read_wait
from evaluate.judges.money import Budget, Reservation
from evaluate.judges.pace import Pace, Ticket
from evaluate.judging import Message, Reply, Request

_ATTEMPTS = 6
_LONGEST_PAUSE = 600.0
"""A server that asks for more is one that answers no more."""
_MOST_FAILED = 16
"""Calls in a row that failed for good."""
_CHECK = Request((Message("user", ("Hi",)),), 1)


class _SilentError(CallError):
    """The server gave no reply in all attempts."""


class _CutError(Exception):
    """No whole answer came; the message says what did."""


@dataclass
class Counts:
    """What happened so far, for those who watch.

    Attributes:
        calls: that were completed.
        requests: that were sent.
        retrying: calls that wait for another attempt at this moment.
    """

    calls: int = 0
    requests: int = 0
    retrying: int = 0


@dataclass
class OpenAIJudge:
    """Asks a server.

    Attributes:
        server: which.
        key: that is sent, and never shown.
        budget: of the command.
        pace: that requests keep.
        seconds: for one request, until it is made again.
        draw: seconds to wait after so many failures, where the server names none.
    """

    server: Server
    key: str = field(repr=False)
    budget: Budget
    pace: Pace
    seconds: float = 120.0
    draw: Callable[[int], float] = field(default_factory=lambda: partial(draw_wait, source=random.Random()))
    counts: Counts = field(default_factory=Counts)
    _dropped: dict[str, str] = field(default_factory=dict)
    _client: Any = None
    _in_flight: int = 0
    _failed: int = 0
    _freed: asyncio.Event | None = None
    _line: asyncio.Lock | None = None

    async def open(self) -> None:
        """Be ready; belongs to the loop that runs."""
        import openai

        self._freed, self._line = asyncio.Event(), asyncio.Lock()
        # Its own retries are off, so that the counts are true.
        # Where the server sends requests elsewhere, the user has to say so: prompts and pictures would go there.
        self._client = openai.AsyncOpenAI(
            api_key=self.key,
            base_url=self.server.url,
            max_retries=0,
            http_client=openai.DefaultAsyncHttpxClient(timeout=self.seconds, follow_redirects=False),
        )

    async def close(self) -> None:
        """End all connections."""
        if self._client is not None:
            await self._client.close()

    async def check(self) -> None:
        """One cheap call before the first real one.

        Raises:
            JudgeError: the key, the model or the server is wrong.
        """
        try:
            await self._complete(_CHECK, patient=False)
        except CallError as error:
            if str(error).startswith("--max-cost"):
                raise JudgeError(f"judge: {error}; allow more, or ask a cheaper judge with --judge-model") from None
            if not any(f"code {code}" in str(error) for code in (400, 413, 422)):
                raise JudgeError(self._blame(str(error))) from None
            # The model is there, and does not like so short a question; that is not asked of it again.

    async def complete(self, request: Request) -> Completion:
        """Ask until there is a reply.

        Raises:
            CallError: there is none after so many attempts, or the server will not answer this request.
            JudgeError: no call would get one.
        """
        try:
            completion = await self._complete(request)
        except _SilentError as error:
            self._failed += 1
            if self._failed >= _MOST_FAILED:
                raise JudgeError(self._blame(f"{self._failed} failed calls in a row, the last: {error}")) from None
            raise
        self._failed = 0
        self.counts.calls += 1
        return completion

    async def _complete(self, request: Request, *, patient: bool = True) -> Completion:
        failures, reason = 0, ""
        while failures < _ATTEMPTS:
            reservation = await self.budget.reserve(request)
            result = await self._send(request, reservation)
            if isinstance(result, Completion):
                return replace(result, attempts=failures + 1)
            fault, wait = result
            reason = fault.reason
            if fault.kind == "drop":
                # The limit has a newer name; without any, a reply could be as long and dear as it likes.
                other = "max_completion_tokens" if fault.parameter == "max_tokens" else ""
                self._dropped[fault.parameter] = other
                continue
            if fault.kind in ("context_length", "content_filter"):
                refusal = fault.reason if fault.kind == "content_filter" else ""
                return self._stamp(Completion(Reply("", fault.kind, refusal), attempts=failures + 1))
            if fault.kind == "hopeless":
                raise JudgeError(self._blame(fault.reason))
            if fault.kind != "again":
                raise CallError(reason)
            failures += 1
            if wait > _LONGEST_PAUSE:
                raise JudgeError(self._blame(f"{reason}, to be asked again in {wait:,.0f} s"))
            # Nobody is there, or something else than a judge is, which says the same each time.
            if not patient and (fault.parameter == "unreachable" or (fault.parameter == "odd" and failures > 1)):
                raise CallError(reason)
            if failures < _ATTEMPTS:
                self.counts.retrying += 1
                # The pace keeps the rate by itself; a long wait would only leave the last calls behind.
                drawn = self.draw(failures - 3 if fault.parameter == "refused" else failures)
                await asyncio.sleep(wait if wait else drawn)
                self.counts.retrying -= 1
        raise _SilentError(f"{reason}, after {_ATTEMPTS} attempts")

    async def _send(self, request: Request, reservation: Reservation) -> Completion | tuple[Fault, float]:
        """One request: what came of it, and how long the server asks to wait."""
        import openai

        ticket = await self._wait_for_turn()
        body = self._make_body(request)
        begin = time.monotonic()
        self.counts.requests += 1
        may_cost, usage = True, None
        try:
            raw = await asyncio.wait_for(self._client.chat.completions.with_raw_response.create(**body), self.seconds)
            completion = self._read(raw.content, time.monotonic() - begin)
            usage, may_cost = completion.usage, completion.usage is None
            self.pace.pass_(completion.seconds, self.seconds)
            return completion
        except openai.APIStatusError as error:
            may_cost = False
            fault = read_fault(error.status_code, error.body, body.keys())
            if (there := error.response.headers.get("location")) and 300 <= error.status_code < 400:
                fault = Fault("hopeless", f"code {error.status_code}, which sends all requests to {there[:200]}")
            fault = replace(fault, reason=self.clean(fault.reason))
            wait = read_wait(error.response.headers)
            if error.status_code == 429 and fault.kind == "again":
                fault = replace(fault, parameter="refused")
                self.pace.refuse(time.monotonic(), ticket, min(wait, _LONGEST_PAUSE))
            else:
                self.pace.pass_(0.0, self.seconds)
            return fault, wait
        except (asyncio.TimeoutError, openai.APITimeoutError):  # another class before Python 3.11
            self.pace.shrink()
            return Fault("again", f"no answer within {self.seconds:g} s"), 0.0
        except openai.APIConnectionError as error:
            cause = error.__cause__ or error
            is_dead = "connect" in type(cause).__name__.lower()
            may_cost = not is_dead
            reason = f"the connection failed: {self.clean(str(cause) or type(cause).__name__)}"
            return Fault("again", reason, "unreachable" if is_dead else ""), 0.0
        except _CutError as error:
            return Fault("again", self.clean(str(error)), "odd"), 0.0
        finally:
            self.budget.settle(reservation, usage, may_cost=may_cost)
            self._in_flight -= 1
            if self._freed is not None:
                self._freed.set()

    async def _wait_for_turn(self) -> Ticket:
        """Wait until one more request may be sent."""
        assert self._freed is not None, "the judge is open"
        assert self._line is not None, "the judge is open"
        async with self._line:  # first come, first served; and only one of many looks at the clock
            while True:
                self._freed.clear()
                if self._in_flight < int(self.pace.window):
                    turn = self.pace.take(time.monotonic())
                    if isinstance(turn, Ticket):
                        self._in_flight += 1
                        return turn
                    await asyncio.sleep(min(turn, 5.0))
                else:
                    await self._freed.wait()

    def _make_body(self, request: Request) -> dict[str, Any]:
        body = make_body(self.server, request)
        for name, other in self._dropped.items():
            value = body.pop(name, None)
            if other and value is not None:
                body[other] = value
        return body

    def _read(self, content: bytes, seconds: float) -> Completion:
        """What the server said, checked.

        Raises:
            _CutError: it is no chat completion, or not a whole one.
        """
        try:
            body = json.loads(content)
        except (ValueError, RecursionError):
            raise _CutError(f"expected JSON, got {len(content)} bytes that are none or not all") from None
        try:
            choice = body["choices"][0]
            message = choice["message"]
            text, refusal = _join_parts(message.get("content")), message.get("refusal") or ""
            finish = choice.get("finish_reason") or "stop"
        except (KeyError, IndexError, TypeError, AttributeError):
            raise _CutError(f"expected a chat completion, got {str(body)[:80]}") from None
        return self._stamp(
            Completion(
                reply=Reply(self.clean(str(text), 0), self.clean(str(finish)), self.clean(str(refusal), 0)),
                usage=_read_usage(body.get("usage")),
                model=self.clean(str(body.get("model") or "")),
                fingerprint=self.clean(str(body.get("system_fingerprint") or "")),
                seconds=round(seconds, 3),
            )
        )

    def _stamp(self, completion: Completion) -> Completion:
        time_now = datetime.now(timezone.utc).isoformat(timespec="seconds")
        dropped = tuple(sorted(f"{name}->{other}" if other else name for name, other in self._dropped.items()))
        return replace(completion, time=time_now, dropped=dropped)

    def clean(self, text: str, longest: int = 300) -> str:
        """A text without the key, which some servers repeat; on one line where it may not be long."""
        if len(self.key) >= 4:
            text = text.replace(self.key, "***")
        return " ".join(text.split())[:longest] if longest else text

    def _blame(self, reason: str) -> str:
        remedy = "see whether it runs, and --judge-base-url; the same command goes on"
        if "code 401" in reason or "code 403" in reason:
            remedy = "check OPENAI_API_KEY"
        elif "which sends all requests" in reason:
            remedy = "name that address with --judge-base-url, if you trust it"
        elif "quota" in reason:
            remedy = "see to the account"
        elif "code 4" in reason and "code 429" not in reason:
            remedy = "name a model that the server has with --judge-model, or its address with --judge-base-url"
        return (
            f"judge: expected answers of {self.server.model} at {self.server.url}, got {reason}; {remedy}; "
            "predictions and replies are kept"
        )


def _join_parts(content: Any) -> str:
    """The words of a message: a text, or, from some servers, a list of parts."""
    if isinstance(content, list):
        parts = [part.get("text") for part in content if isinstance(part, Mapping)]
        content = "".join(part for part in parts if isinstance(part, str))
    return str(content or "")


def _read_usage(usage: Any) -> Usage | None:
    """Tokens as the server counts them; None where it does not, or where nobody can have used so many."""
    if not isinstance(usage, Mapping):
        return None
    details = usage.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, Mapping) else 0
    counts: list[Any] = [usage.get("prompt_tokens"), cached or 0, usage.get("completion_tokens") or 0]
    if not all(type(count) is int and count >= 0 for count in counts):
        return None
    return Usage(counts[0], min(counts[1], counts[0]), counts[2])
