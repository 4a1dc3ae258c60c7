"""What a server's refusal means: whether to ask again, after how long, without which parameter, or never."""

from __future__ import annotations

import random
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any, Literal

DROPPABLE = ("temperature", "top_p", "seed", "response_format", "max_tokens")
"""Parameters that a server may not know."""
_LONGEST = 60.0
_AGAIN = (408, 409, 425, 429)
_HOPELESS = (401, 403, 404)
_UNSUPPORTED = re.compile(
    r"unsupported|not support|unrecogni[sz]ed|unknown (parameter|argument|field)|not permitted|not allowed|"
    r"extra_forbidden|extra inputs|invalid parameter|only the default",
    re.IGNORECASE,
)
_TOO_LONG = re.compile(
    r"context.{0,3}(length|window)|maximum context|prompt is too long|too many (input )?tokens|max_model_len|"
    r"reduce the length",
    re.IGNORECASE,
)
_NO_MODEL = re.compile(
    r"model.{0,80}(not exist|not found|unknown|not available|deprecated|decommissioned)", re.IGNORECASE
)

Kind = Literal["again", "drop", "context_length", "content_filter", "hopeless", "failed"]


@dataclass(frozen=True, slots=True)
class Fault:
    """What to make of an error.

    Attributes:
        kind: ask again; ask without a parameter; a reply that says so; no call would pass; this one will not.
        reason: of the server, in one line.
        parameter: that is to be dropped; for `again`, "refused" or "unreachable" where that is what it is.
    """

    kind: Kind
    reason: str
    parameter: str = ""


def read_fault(status: int, body: Any, sent: Collection[str]) -> Fault:
    """What an error with a status code means.

    Args:
        status: the code.
        body: of the answer, as JSON where it is that.
        sent: parameters of the request.
    """
    error = body.get("error", body) if isinstance(body, Mapping) else {}
    error = error if isinstance(error, Mapping) else {"message": error}
    message, code = str(error.get("message") or error.get("detail") or body or ""), str(error.get("code") or "")
    reason = f"code {status}" + (f": {' '.join(message.split())[:300]}" if message else "")
    if code == "insufficient_quota":
        return Fault("hopeless", reason if "quota" in reason else f"{reason} ({code})")
    if status in _AGAIN or status >= 500:
        return Fault("again", reason)
    if status in _HOPELESS:
        return Fault("hopeless", reason)
    if status in (400, 413, 422):
        if code == "context_length_exceeded" or status == 413 or _TOO_LONG.search(message):
            return Fault("context_length", reason)
        if "content_filter" in code or "content_policy" in code:
            return Fault("content_filter", reason)
        if code.startswith(("unsupported", "unknown_parameter")) or _UNSUPPORTED.search(message):
            parameter = _find_parameter(str(error.get("param") or ""), message, sent)
            if parameter:
                return Fault("drop", reason, parameter)
        if code == "model_not_found" or _NO_MODEL.search(message):
            return Fault("hopeless", reason)
    return Fault("failed", reason)


def _find_parameter(named: str, message: str, sent: Collection[str]) -> str:
    """The parameter that an error is about, if it was sent and can be left out."""
    named = named.split(".")[-1] if named.startswith("body.") else named.split(".")[0]
    if named in DROPPABLE:
        return named if named in sent else ""
    found = [(hit.start(), name) for name in DROPPABLE if name in sent and (hit := re.search(rf"\b{name}\b", message))]
    return min(found)[1] if found else ""


def read_wait(headers: Mapping[str, str], now: datetime | None = None) -> float:
    """The seconds that a server asks to wait, which it names as seconds or as a date; 0 where it names none."""
    try:
        return max(0.0, float(headers["retry-after-ms"]) / 1000)
    except (KeyError, ValueError):
        pass
    text = headers.get("retry-after", "")
    try:
        seconds = float(text)
        return max(0.0, seconds) if seconds < float("inf") else 0.0
    except ValueError:
        pass
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, TypeError):
        return 0.0
    date = date if date.tzinfo else date.replace(tzinfo=timezone.utc)
    return max(0.0, (date - (now or datetime.now(timezone.utc))).total_seconds())


def draw_wait(failures: int, source: random.Random) -> float:
    """Seconds until the next attempt after so many failed ones: drawn from nothing to twice as much each time."""
    return source.uniform(0, min(_LONGEST, 2.0**failures))
