"""What judging costs: prices, an upper bound of every call before it is sent, and a limit that is never exceeded."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evaluate.jsonl import read_object
from evaluate.judges.call import CallError, Server, Usage
from evaluate.judging import Request
from internvl.errors import InputError, MissingError

PRICES = Path(__file__).with_name("prices.json")
_PER_MESSAGE, _PER_CALL = 32, 64
"""Tokens around the words, more than any known server adds."""
_PICTURE = 50_000
"""Tokens of a picture at most, where a price does not say."""
_LONGEST_REPLY = 16_384
"""Tokens of a reply at most, where a request has no limit and says nothing."""
_CHARACTERS_PER_TOKEN = 4.0
_USUAL_PICTURE = 800
_MILLION = 1e6


@dataclass(frozen=True, slots=True)
class Price:
    """Dollars per million tokens.

    Attributes:
        input, cached, output: of each kind.
        picture: most input tokens of one picture.
        as_of: the date that this was known to be right on.
    """

    input: float
    output: float
    cached: float
    picture: int = _PICTURE
    as_of: str = ""

    def cost(self, usage: Usage) -> float:
        """Dollars for so many tokens."""
        fresh = usage.input - usage.cached
        return (fresh * self.input + usage.cached * self.cached + usage.output * self.output) / _MILLION


def find_price(server: Server, path: Path | None = None) -> Price | None:
    """What a model costs, if that is known.

    Args:
        server: ours are prices of one server alone; those of a file of the user's are of any.
        path: such a file, as `prices.json` here: `models` with `input`, `output`, and perhaps `cached` and `picture`.

    Raises:
        MissingError: no such file.
        InputError: it holds something else.
    """
    if path is not None and not path.is_file():
        raise MissingError(f"--judge-prices: expected a file, got {path}, which does not exist; check the path")
    content = read_object(path or PRICES, "correct it")
    models = content.get("models")
    row = models.get(server.model) if isinstance(models, Mapping) else None
    if row is None or (path is None and content["host"] != server.host):
        if path is not None and not isinstance(models, Mapping):
            raise InputError(f"{path}: expected models with prices, got none; take {PRICES} as the pattern")
        return None
    try:
        values = {name: float(row[name]) for name in ("input", "output")}
        cached = float(row.get("cached", values["input"]))
        picture = int(row.get("picture", _PICTURE))
        # With an infinite price, or one that is no number, nothing would ever exceed a limit.
        if not all(0 <= value < math.inf for value in (*values.values(), cached, picture)):
            raise ValueError("a number below zero, or without end")
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise InputError(
            f"{path}: expected input and output prices of {server.model} as numbers, got {json.dumps(row)[:80]} "
            f"({error}); correct it"
        ) from None
    return Price(**values, cached=cached, picture=picture, as_of=str(row.get("as_of", "")))


def bound_usage(request: Request, price: Price | None = None) -> Usage:
    """More tokens than the call can take: none is shorter than a byte; without a limit, more than it should take."""
    parts = [part for message in request.messages for part in message.parts]
    words = sum(len(part.encode("utf-8", "replace")) for part in parts if isinstance(part, str))
    pictures = sum(not isinstance(part, str) for part in parts) * (price.picture if price else _PICTURE)
    form = 2 * len(json.dumps(request.response_format)) if request.response_format else 0
    total = words + pictures + form + _PER_MESSAGE * len(request.messages) + _PER_CALL
    reply = request.usual_tokens or _LONGEST_REPLY if request.max_tokens is None else request.max_tokens
    return Usage(input=total, output=reply)


def estimate_input(request: Request) -> int:
    """About as many input tokens as the call will take."""
    parts = [part for message in request.messages for part in message.parts]
    words = sum(len(part) if part.isascii() else 2 * len(part) for part in parts if isinstance(part, str))
    pictures = sum(not isinstance(part, str) for part in parts)
    return round(words / _CHARACTERS_PER_TOKEN) + _USUAL_PICTURE * pictures + 8


@dataclass(frozen=True, slots=True)
class Reservation:
    """Dollars set aside for one request, and its worst usage."""

    dollars: float
    usage: Usage


@dataclass
class Budget:
    """The money of a command.

    Attributes:
        price: None where it is not known.
        most: dollars; None without a limit.
        spent: on requests that were answered with their usage.
        unsure: on requests that broke off, or whose usage is not known: as much as they can have cost.
        usage: tokens of all requests that were answered.
    """

    price: Price | None = None
    most: float | None = None
    spent: float = 0.0
    unsure: float = 0.0
    usage: Usage = field(default_factory=Usage)
    _reserved: float = 0.0
    _open: int = 0
    _settled: asyncio.Event | None = None

    async def reserve(self, request: Request) -> Reservation:
        """Set the most that a request can cost aside; waits while others may give something back.

        Raises:
            CallError: there is not enough left.
        """
        usage = bound_usage(request, self.price)
        dollars = self.price.cost(usage) if self.price else 0.0
        while self.most is not None and self.spent + self.unsure + self._reserved + dollars > self.most:
            if not self._open:
                raise CallError(
                    f"--max-cost of ${self.most:g}: ${self.spent + self.unsure:.4f} are spent, and this call could "
                    f"cost ${dollars:.4f}"
                )
            self._settled = self._settled or asyncio.Event()
            self._settled.clear()
            await self._settled.wait()
        self._reserved += dollars
        self._open += 1
        return Reservation(dollars, usage)

    def settle(self, reservation: Reservation, usage: Usage | None, *, may_cost: bool) -> None:
        """Put the real cost in place of what was set aside.

        Args:
            reservation: of the request.
            usage: as the server tells it; None where it does not.
            may_cost: whether the server may charge it without telling.
        """
        self._open -= 1
        self._reserved = self._reserved - reservation.dollars if self._open else 0.0
        if usage is not None:
            self.usage += usage
            self.spent += self.price.cost(usage) if self.price else 0.0
        elif may_cost:
            self.unsure += reservation.dollars
        if self._settled is not None:
            self._settled.set()


def describe_price(price: Price | None) -> dict[str, Any] | None:
    """A price for a report."""
    if price is None:
        return None
    return {"input": price.input, "cached": price.cached, "output": price.output, "as_of": price.as_of}
