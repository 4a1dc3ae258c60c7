"""A call of a judge: what is sent, the key that a reply is stored under, and what came back."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol
from urllib.parse import urlsplit

from evaluate.judging import Message, Reply, Request
from evaluate.messages import encode_picture, read_picture
from internvl.errors import InputError

FORMAT = 1
"""Of keys and records."""
HOME = "https://api.openai.com/v1"
_DATE = re.compile(r"(19|20)\d\d-?[01]\d-?[0-3]\d|-[01]\d[0-3]\d(?!\d)")


class CallError(Exception):
    """One call that failed for good; the message says why."""


class JudgeError(InputError):
    """Every call would fail: the key, the model or the server is wrong."""


@dataclass(frozen=True, slots=True)
class Series:
    """Which of several askings of the same thing: its pass over all answers, and how often it was judged again."""

    number: int = 0
    round: int = 0


@dataclass(frozen=True, slots=True)
class Server:
    """A model behind an address.

    Attributes:
        model: as the server calls it.
        url: that the paths of the API begin with; scheme, host and path alone.
    """

    model: str
    url: str = HOME

    @property
    def host(self) -> str:
        """With the port, where there is one."""
        return urlsplit(self.url).netloc

    @property
    def is_dated(self) -> bool:
        """Whether the name has a date in it; another name may stand for another model tomorrow."""
        return _DATE.search(self.model) is not None


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as the server counted them; `cached` ones are among those of the input."""

    input: int = 0
    cached: int = 0
    output: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(self.input + other.input, self.cached + other.cached, self.output + other.output)


@dataclass(frozen=True, slots=True)
class Completion:
    """A call that was completed.

    Attributes:
        reply: what a rubric sees of it.
        usage: None where the server does not tell.
        model: as the server names what has answered.
        fingerprint: of the server's system.
        attempts: requests that this took.
        seconds: of the last of them.
        time: UTC.
        dropped: parameters that the server does not know, and that were left out therefore.
    """

    reply: Reply
    usage: Usage | None = None
    model: str = ""
    fingerprint: str = ""
    attempts: int = 1
    seconds: float = 0.0
    time: str = ""
    dropped: tuple[str, ...] = ()


class Judge(Protocol):
    """Whoever completes calls."""

    async def complete(self, request: Request) -> Completion:
        """Ask until there is a reply.

        Raises:
            CallError: there is none.
            JudgeError: no call would get any.
        """


@dataclass(frozen=True)
class Call:
    """A request to a server.

    Attributes:
        content: all that makes it this very request, with the hash of each picture in place of its bytes.
    """

    server: Server
    request: Request
    series: Series = Series()
    content: Mapping[str, Any] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        request = self.request
        content = {
            "format": FORMAT,
            "endpoint": self.server.url,
            "model": self.server.model,
            "messages": [_describe(message) for message in request.messages],
            "response_format": request.response_format,
            "temperature": None if request.temperature is None else float(request.temperature),
            "top_p": None if request.top_p is None else float(request.top_p),
            "max_tokens": request.max_tokens,
            "seed": request.seed,
            "repeat": [self.series.number, self.series.round, request.repeat],
        }
        object.__setattr__(self, "content", content)

    @property
    def key(self) -> str:
        """SHA-256 of the content as canonical JSON."""
        return make_key(self.content)


def make_key(content: Mapping[str, Any]) -> str:
    """The key of a request's content."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _describe(message: Message) -> dict[str, Any]:
    parts = [
        {"text": part} if isinstance(part, str) else {"picture": hashlib.sha256(read_picture(part)[1]).hexdigest()}
        for part in message.parts
    ]
    return {"role": message.role, "parts": parts}


def make_body(server: Server, request: Request) -> dict[str, Any]:
    """What is sent; only what the request has."""
    values = {
        "max_tokens": request.max_tokens,
        "response_format": request.response_format,
        "temperature": request.temperature,
        "top_p": request.top_p,
        "seed": request.seed,
    }
    return {
        "model": server.model,
        "messages": [_word(message) for message in request.messages],
        **{name: value for name, value in values.items() if value is not None},
    }


def _word(message: Message) -> dict[str, Any]:
    if len(message.parts) == 1 and isinstance(message.parts[0], str):
        # A single text is a string, which every server understands; half of a character, none does.
        return {"role": message.role, "content": _mend(message.parts[0])}
    parts = [
        {"type": "text", "text": _mend(part)}
        if isinstance(part, str)
        else {"type": "image_url", "image_url": {"url": encode_picture(part)}}
        for part in message.parts
    ]
    return {"role": message.role, "content": parts}


def _mend(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")


def write_record(call: Call, completion: Completion) -> dict[str, Any]:
    """A completed call as it is stored: never the key of the server, and never the bytes of a picture."""
    values = asdict(completion)
    return {"key": call.key, "request": dict(call.content), **values.pop("reply"), **values}


def read_record(record: Any) -> Completion:
    """A stored call.

    Raises:
        ValueError: it is none.
    """
    if not isinstance(record, dict) or not isinstance(record.get("text"), str):
        raise ValueError("no record of a reply")
    usage = record.get("usage")
    reply = Reply(record["text"], str(record.get("finish_reason", "stop")), str(record.get("refusal", "")))
    return Completion(
        reply=reply,
        usage=Usage(**{name: int(usage[name]) for name in ("input", "cached", "output")}) if usage else None,
        model=str(record.get("model", "")),
        fingerprint=str(record.get("fingerprint", "")),
        attempts=int(record.get("attempts", 1)),
        seconds=float(record.get("seconds", 0.0)),
        time=str(record.get("time", "")),
        dropped=tuple(map(str, record.get("dropped", ()))),
    )
