"""The options of a judge, the same for every command that scores."""

from __future__ import annotations

import argparse
import math
import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from evaluate.judges.call import HOME, Server
from evaluate.judging import Request
from internvl.errors import InputError

KEY, URL = "OPENAI_API_KEY", "OPENAI_BASE_URL"
_NO_URL = ("", "none")
_MOST_REPEATS = 100


@dataclass(frozen=True, slots=True)
class JudgeOptions:
    """Who judges, and how.

    Attributes:
        judge: openai, replay:PATH, or none.
        model: None for the published one.
        url: that the paths of the server's API begin with; None for what the environment says.
        profile: `official` sends what the protocol sends; `pinned` also temperature 0 and seed 0 where it is silent.
        store: folder of replies; None for the one beside the results.
        concurrency: most requests in flight.
        rpm: most requests per minute; None for as many as the server permits.
        seconds: for one request.
        repeats: passes over all answers.
        rejudge: what is asked again although there is a reply.
        most: dollars of the command; None without a limit.
        prices: file of prices.
        dry: only say what would be asked.
        allow_failures: make a number of what is judged, however little that is.
    """

    judge: str = "openai"
    model: str | None = None
    url: str | None = None
    profile: str = "official"
    store: Path | None = None
    concurrency: int = 64
    rpm: float | None = None
    seconds: float = 120.0
    repeats: int = 1
    rejudge: str | None = None
    most: float | None = None
    prices: Path | None = None
    dry: bool = False
    allow_failures: bool = False

    def find_server(self, published: str, environment: Mapping[str, str] = os.environ) -> Server:
        """The model and its address.

        Raises:
            InputError: the address is none.
        """
        url = self.url if self.url is not None else environment.get(URL, "")
        url = HOME if url.strip().lower() in _NO_URL else url.strip()
        try:
            parts = urlsplit(url)
            is_whole = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or True)
        except ValueError:
            is_whole = False
        is_clean = not any(sign.isspace() or not sign.isprintable() for sign in url)
        if not is_whole or not is_clean or "@" in parts.netloc or parts.query or parts.fragment:
            # What is wrong may be a secret: it is not shown.
            raise InputError(
                f"--judge-base-url: expected http://HOST/v1 without a password or a query, got another address from "
                f"{'the option' if self.url is not None else URL}; put the key into {KEY}"
            )
        return Server(self.model or published, urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/"), "", "")))

    def shape(self, request: Request) -> Request:
        """The request as the profile sends it."""
        if self.profile == "official":
            return request
        temperature = 0.0 if request.temperature is None else request.temperature
        return replace(request, temperature=temperature, seed=0 if request.seed is None else request.seed)

    def words(self) -> str:
        """The options that were given, as a command line; none that is for one start alone."""
        plain = JudgeOptions()
        pairs = {
            "--judge": (self.judge, plain.judge),
            "--judge-model": (self.model, None),
            "--judge-base-url": (self.url, None),
            "--judge-profile": (self.profile, plain.profile),
            "--judge-store": (self.store, None),
            "--judge-repeats": (self.repeats, 1),
            "--max-cost": (self.most, None),
            "--judge-prices": (self.prices, None),
        }
        given = [f" {name} {shlex.quote(str(value))}" for name, (value, usual) in pairs.items() if value != usual]
        return "".join(given)


def read_key(environment: Mapping[str, str] = os.environ) -> str:
    """The key that is sent; empty where there is none.

    Raises:
        InputError: no request could carry it. Libraries would say so with the key in the message.
    """
    key = environment.get(KEY, "").strip()
    if not (key.isascii() and key.isprintable()):
        raise InputError(f"{KEY}: expected plain letters, digits and signs on one line, got others; export it again")
    return key


def add_judge_options(parser: argparse.ArgumentParser) -> None:
    """Let a command take them."""
    plain = JudgeOptions()
    group = parser.add_argument_group("judge", f"for benchmarks that a model scores; its key is {KEY} (docs/judge.md)")
    group.add_argument(
        "--judge",
        default=plain.judge,
        metavar="WHO",
        help="openai, replay:PATH (stored replies alone), or none (default openai)",
    )
    group.add_argument("--judge-model", metavar="NAME", help="instead of the published judge; numbers carry its name")
    group.add_argument("--judge-base-url", metavar="URL", help=f"any server with chat completions (default ${URL})")
    group.add_argument(
        "--judge-profile",
        choices=("official", "pinned"),
        default=plain.profile,
        help="pinned also sends temperature 0 and seed 0 where the protocol sends none",
    )
    group.add_argument("--judge-store", type=Path, metavar="DIR", help="replies (default: judge_replies in --output)")
    group.add_argument("--judge-repeats", type=int, default=1, metavar="N", help="passes: mean and deviation beside")
    group.add_argument("--rejudge", choices=("failed", "all"), help="ask refusals and unread replies again, or all")
    group.add_argument("--judge-dry-run", action="store_true", help="say how many calls and what they cost, make none")
    group.add_argument("--max-cost", type=float, metavar="USD", help="never spend more in this command")
    group.add_argument("--judge-prices", type=Path, metavar="FILE", help="prices per million tokens, JSON")
    group.add_argument(
        "--judge-concurrency", type=int, default=plain.concurrency, metavar="N", help="most requests in flight (64)"
    )
    group.add_argument("--judge-rpm", type=float, metavar="N", help="most requests per minute (default: finds it)")
    group.add_argument("--judge-timeout", type=float, default=120.0, metavar="S", help="seconds for one request (120)")
    group.add_argument(
        "--allow-judge-failures", action="store_true", help="a number below 98 %% of verdicts, marked incomplete"
    )


def read_judge_options(options: argparse.Namespace) -> JudgeOptions:
    """The options as they were given.

    Raises:
        InputError: a number that cannot be.
    """
    kind = options.judge.partition(":")
    if options.judge not in ("openai", "none") and not (kind[0] == "replay" and kind[2]):
        raise InputError(f"--judge: expected openai, replay:PATH or none, got {options.judge!r}; correct it")
    if options.rejudge and options.judge != "openai":
        raise InputError(f"--rejudge: expected --judge openai beside it, got {options.judge}; leave one of them out")
    if options.judge_model is not None and not options.judge_model.strip():
        raise InputError("--judge-model: expected a name, got none; name a model, or leave it out")
    numbers = {
        "--judge-repeats": options.judge_repeats,
        "--judge-concurrency": options.judge_concurrency,
        "--judge-timeout": options.judge_timeout,
        "--judge-rpm": options.judge_rpm,
        "--max-cost": options.max_cost,
    }
    for name, value in numbers.items():
        if value is not None and not 0 < value < math.inf:
            raise InputError(f"{name}: expected a number above zero, got {value}; correct it")
    if options.judge_repeats > _MOST_REPEATS:
        raise InputError(f"--judge-repeats: expected at most {_MOST_REPEATS}, got {options.judge_repeats}; correct it")
    return JudgeOptions(
        judge=options.judge,
        model=options.judge_model,
        url=options.judge_base_url,
        profile=options.judge_profile,
        store=options.judge_store,
        concurrency=options.judge_concurrency,
        rpm=options.judge_rpm,
        seconds=options.judge_timeout,
        repeats=options.judge_repeats,
        rejudge=options.rejudge,
        most=options.max_cost,
        prices=options.judge_prices,
        dry=options.judge_dry_run,
        allow_failures=options.allow_judge_failures,
    )
