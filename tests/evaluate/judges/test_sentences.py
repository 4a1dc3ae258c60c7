"""The account in words."""

from __future__ import annotations

from evaluate.judges.sentences import tell_cost, tell_dollars, tell_judge, tell_verdicts

ACCOUNT = {
    "judge": "gpt-4o",
    "endpoint": "host",
    "profile": "pinned",
    "answered_by": ["gpt-4o-2024-08-06"],
    "dropped": ["seed"],
    "is_dated": False,
    "statuses": {"ok": 995, "refusal": 1, "parse_error": 4, "api_error": 0, "no_prediction": 0},
    "incomplete": True,
    "calls": 361,
    "tokens": {"input": 152310, "cached": 0, "output": 3610},
    "tokens_from_store": {"input": 271040, "cached": 0, "output": 6400},
    "dollars": 1.5,
    "dollars_unsure": 0.02,
    "dollars_from_store": 2.0,
}


def test_sentences() -> None:
    assert tell_verdicts(ACCOUNT) == "INCOMPLETE, 995 of 1,000 judged (1 refusal, 4 parse_error)"
    cost = tell_cost(ACCOUNT)
    assert cost == (
        "361 calls, 152,310 tokens in, 3,610 out, $1.50 and at most $0.0200 for requests that broke off; "
        "from the store 271,040 in, 6,400 out, $2.00"
    )
    told = tell_judge(ACCOUNT)
    assert told.startswith("gpt-4o at host (pinned), answered by gpt-4o-2024-08-06; without seed; an undated name")
    assert told.endswith(cost)
    nothing = {**ACCOUNT, "dollars": None, "tokens_from_store": {"input": 0, "output": 0}}
    assert tell_cost(nothing) == "361 calls, 152,310 tokens in, 3,610 out"
    assert [tell_dollars(amount) for amount in (0, 0.5, 12345.678)] == ["$0.00", "$0.5000", "$12,345.68"]
