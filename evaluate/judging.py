"""The vocabulary of judging: what a judge is asked, what it says, and what scoring makes of it.

A rubric knows a protocol and nothing of servers, money or disks: for every answer it yields requests, one after the
other, is sent the replies, and ends with a verdict. Whoever drives it may ask many answers at the same time, take
replies from a store, or stop: nothing of that changes a verdict.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from evaluate.sample import Sample
from internvl.conversation import Picture

Status = Literal["ok", "refusal", "parse_error", "api_error", "no_prediction"]


@dataclass(frozen=True, slots=True)
class Message:
    """One message: words and pictures in the order in which they are shown; `system` words stay apart from `user`."""

    role: Literal["system", "user", "assistant"]
    parts: tuple[str | Picture, ...]


@dataclass(frozen=True, slots=True)
class Request:
    """One call of a judge; what is None is not sent.

    Attributes:
        messages: the whole conversation.
        max_tokens: at most so many in the reply; None where the protocol sends no limit.
        response_format: of the server's API, for replies in a given structure.
        repeat: 0, or the number of a further call for the very same request: one reply is never used for two.
        usual_tokens: without a limit, as many as a reply is expected to take at most; budgets alone read it.
    """

    messages: tuple[Message, ...]
    max_tokens: int | None
    temperature: float | None = None
    top_p: float | None = None
    seed: int | None = None
    response_format: Mapping[str, Any] | None = None
    repeat: int = 0
    usual_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """What a judge said: a completed call. A call that failed is no reply, and a rubric never sees one.

    Attributes:
        text: empty where there is none.
        finish_reason: as the server names it: `stop`, `length`, `content_filter`; `context_length` where the server
            said that the request is too long for the model.
        refusal: what the server gave as the reason not to answer.
    """

    text: str
    finish_reason: str = "stop"
    refusal: str = ""


class Verdict(str):
    """What the judge said about one answer, as the text that a scorer reads in place of the answer.

    Attributes:
        status: `ok`, or why there is nothing to score; only `ok` is ever scored by a strict rule.
        reason: in words, where the status is another.
        is_direct: it follows from the answer alone, and no judge was asked.
    """

    __slots__ = ("is_direct", "reason", "status")
    status: Status
    reason: str
    is_direct: bool

    def __new__(cls, text: str = "", status: Status = "ok", reason: str = "", *, is_direct: bool = False) -> Verdict:
        """A verdict; without a status, a good one."""
        verdict = super().__new__(cls, text)
        verdict.status = status
        verdict.reason = reason
        verdict.is_direct = is_direct
        return verdict


Grading = Generator[Request, Reply, Verdict]
"""The judging of one answer: yields requests, is sent replies, returns the verdict."""


class Rubric(Protocol):
    """How a protocol has its answers judged."""

    @property
    def name(self) -> str:
        """The protocol, with what changes numbers: it stands in the fingerprint of a score."""

    @property
    def model(self) -> str:
        """The published judge, asked unless the user names another."""

    def grade(self, answer: str, sample: Sample) -> Grading:
        """Judge one answer; must be deterministic in what it is sent."""
