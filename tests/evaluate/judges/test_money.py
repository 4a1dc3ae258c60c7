"""Money: prices of the right server alone, bounds above every real cost, and a limit that holds to the call."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.judge import spend
from evaluate.judges.call import CallError, Server, Usage
from evaluate.judges.money import PRICES, Budget, Price, bound_usage, estimate_input, find_price
from evaluate.judging import Message, Request
from internvl.errors import InputError, MissingError

PRICE = Price(10.0, 20.0, 5.0)


def ask(words: str = "a" * 1000, max_tokens: int = 100) -> Request:
    return Request((Message("user", (words,)),), max_tokens)


def test_shipped_prices_are_of_one_server_and_say_when_they_were_looked_up() -> None:
    content = json.loads(PRICES.read_text())
    assert content["source"].startswith("https://")
    for model, row in content["models"].items():
        price = find_price(Server(model))
        assert price is not None
        assert 0 <= price.cached <= price.input < price.output
        assert row["as_of"] == price.as_of != ""
        assert find_price(Server(model, "http://localhost:8000/v1")) is None
    assert find_price(Server("no-such-model")) is None


def test_prices_of_the_user(tmp_path: Path) -> None:
    path = tmp_path / "prices.json"
    path.write_text('{"models": {"mine": {"input": 1, "output": 2}, "bad": {"input": "x", "output": 2}}}')
    local = "http://localhost:8000/v1"
    assert find_price(Server("mine", local), path) == Price(1.0, 2.0, 1.0)
    assert find_price(Server("other", local), path) is None
    with pytest.raises(InputError, match=r"expected input and output prices of bad as numbers"):
        find_price(Server("bad", local), path)
    for endless in ('"input": NaN', '"input": Infinity', '"input": 1, "picture": 1e999', '"input": -1'):
        path.write_text(f'{{"models": {{"bad": {{{endless}, "output": 2}}}}}}')
        with pytest.raises(InputError, match=r"expected input and output prices of bad as numbers"):
            find_price(Server("bad", local), path)
    path.write_text("{}")
    with pytest.raises(InputError, match="expected models with prices"):
        find_price(Server("mine", local), path)
    with pytest.raises(MissingError, match="--judge-prices"):
        find_price(Server("mine", local), tmp_path / "none.json")


def test_bounds_are_above_and_estimates_near() -> None:
    request = Request((Message("user", ("é" * 400, b"picture")),), 7, response_format={"type": "json_object"})
    bound = bound_usage(request, Price(1, 1, 1, picture=1445))
    assert bound.output == 7
    assert bound.input >= 800 + 1445
    assert bound_usage(request).input > bound.input
    endless = replace(request, max_tokens=None)
    assert bound_usage(endless).output == 16_384  # as long as any
    assert bound_usage(replace(endless, usual_tokens=512)).output == 512
    assert 240 < estimate_input(ask()) < 270
    assert PRICE.cost(Usage(1_000_000, 500_000, 1_000_000)) == 5 + 2.5 + 20


def test_limit_is_kept_while_calls_are_in_flight() -> None:
    async def run() -> list[str]:
        worst = PRICE.cost(bound_usage(ask(), PRICE))
        budget = Budget(PRICE, 2.5 * worst)
        first, second = await budget.reserve(ask()), await budget.reserve(ask())
        third = asyncio.ensure_future(budget.reserve(ask()))
        await asyncio.sleep(0)
        assert not third.done()  # may still become affordable
        budget.settle(first, Usage(10, 0, 1), may_cost=True)
        budget.settle(await third, None, may_cost=False)
        budget.settle(second, None, may_cost=True)  # broke off: may have been charged
        assert budget.unsure == pytest.approx(worst)
        budget.settle(await budget.reserve(ask()), None, may_cost=True)
        with pytest.raises(CallError) as error:
            await budget.reserve(ask())
        return [str(error.value)]

    assert asyncio.run(run())[0].startswith("--max-cost of $")


def test_server_never_charges_more_than_the_limit() -> None:
    assert spend(0.05, count=60)["calls"] < 60
    assert spend(0.08, count=40, cut=0.3)["calls"] < 40
