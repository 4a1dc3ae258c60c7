"""The account of a judging: every answer once, tokens now and before apart."""

from __future__ import annotations

from pathlib import Path

from evaluate.judges.account import describe_plan, make_account
from evaluate.judges.call import Call, Completion, Server, Usage
from evaluate.judges.desk import Desk
from evaluate.judges.drive import Graded
from evaluate.judges.money import Budget, Price
from evaluate.judges.openai import Counts
from evaluate.judges.options import JudgeOptions
from evaluate.judges.store import ReplyStore
from evaluate.judging import Message, Reply, Request, Verdict

SERVER = Server("judge-2024-01-01", "http://host/v1")


def test_account_of_two_answers(tmp_path: Path) -> None:
    desk = Desk(ReplyStore(tmp_path))
    desk.found = {"a": Completion(Reply("7"), Usage(10, 0, 1), "m"), "unused": Completion(Reply("7"), Usage(99, 0, 9))}
    desk.asked = {"b": Completion(Reply("x"), Usage(20, 5, 2), "n", dropped=("seed",))}
    passes = [[Graded(Verdict("7"), ("a",)), Graded(Verdict("", "parse_error", "no digit"), ("b",))]]
    budget = Budget(Price(1.0, 2.0, 0.5), spent=0.25, usage=Usage(20, 5, 2))
    account = make_account("digits", SERVER, JudgeOptions(), passes, ["1", "2"], desk, budget, Counts(requests=3))
    assert account["statuses"] == {"ok": 1, "refusal": 0, "parse_error": 1, "api_error": 0, "no_prediction": 0}
    assert (account["coverage"], account["incomplete"], account["failed"]) == (0.5, True, {"parse_error": ["2"]})
    assert (account["answered_by"], account["dropped"]) == (["m", "n"], ["seed"])
    assert (account["tokens"]["input"], account["tokens_from_store"]["input"]) == (20, 10)
    assert (account["dollars"], account["dollars_from_store"]) == (0.25, 0.000012)
    assert (account["calls"], account["requests"]) == (1, 3)


def test_plan_says_what_it_can_cost() -> None:
    call = Call(SERVER, Request((Message("user", ("a" * 4000,)),), 100))
    line = describe_plan("shelf", 3, [call, call], SERVER, Price(10.0, 20.0, 5.0))
    assert line.startswith("shelf: 3 answers to judge by judge-2024-01-01 at host, 2 of them to ask: 1 first calls, ")
    assert "about 1,008 tokens in, $0.0101 and replies, $0.0430 at most" in line
    assert describe_plan("shelf", 3, [call], SERVER, None).endswith("is not known (--judge-prices)")
    assert describe_plan("shelf", 3, [], SERVER, None).endswith("0 of them to ask; every reply is stored")
