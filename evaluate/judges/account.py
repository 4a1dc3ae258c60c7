"""The account of a judging: who judged, what became of every answer, which tokens and how much money that took."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from evaluate.judges.call import Call, Completion, Server, Usage
from evaluate.judges.desk import Desk
from evaluate.judges.drive import Graded, count
from evaluate.judges.money import Budget, Price, bound_usage, describe_price, estimate_input
from evaluate.judges.openai import Counts
from evaluate.judges.options import JudgeOptions
from evaluate.judges.sentences import tell_dollars

LEAST_COVERAGE = 0.98
"""Share of good verdicts below which there is no headline number."""


def describe_plan(name: str, answers: int, calls: Sequence[Call], server: Server, price: Price | None) -> str:
    """What is going to be asked, and what that can cost.

    Args:
        name: of the run.
        answers: how many.
        calls: the first call of every answer that has no reply yet.
        server, price: of the judge.
    """
    line = f"{name}: {answers:,} answers to judge by {server.model} at {server.host}, {len(calls):,} of them to ask"
    if not calls:
        return f"{line}; every reply is stored"
    unique = list({call.key: call.request for call in calls}.values())
    tokens = sum(map(estimate_input, unique))
    line += f": {len(unique):,} first calls, about {tokens:,} tokens in"
    if price is None:
        return f"{line}; what {server.model} costs there is not known (--judge-prices)"
    most = sum(price.cost(bound_usage(request, price)) for request in unique)
    about = price.cost(Usage(input=tokens))
    return f"{line}, {tell_dollars(about)} and replies, {tell_dollars(most)} at most; a protocol may ask again"


def make_account(
    rubric: str,
    server: Server,
    options: JudgeOptions,
    passes: Sequence[Sequence[Graded]],
    names: Sequence[str],
    desk: Desk,
    budget: Budget,
    counts: Counts,
) -> dict[str, Any]:
    """Everything about a judging that belongs into a report.

    Args:
        rubric: its name.
        server: the judge.
        options: of the command.
        passes: how the judging of every answer ended, in each pass.
        names: of the samples.
        desk: that gave the replies.
        budget, counts: of the judge.
    """
    graded = [one for run in passes for one in run]
    statuses = count(graded)
    used = {key for one in graded for key in one.keys}
    now = [completion for key, completion in desk.asked.items()]
    stored = [completion for key, completion in desk.found.items() if key in used]
    failed: dict[str, list[str]] = {}
    for run in passes:
        for name, one in zip(names, run, strict=True):
            if one.verdict.status != "ok" and name not in failed.setdefault(one.verdict.status, []):
                failed[one.verdict.status].append(name)
    coverage = statuses["ok"] / len(graded) if graded else 0.0
    price = budget.price
    return {
        "rubric": rubric,
        "judge": server.model,
        "endpoint": server.host,
        "profile": options.profile,
        "answered_by": sorted({one.model for one in (*now, *stored) if one.model}),
        "is_dated": server.is_dated,
        "dropped": sorted({name for one in (*now, *stored) for name in one.dropped}),
        "passes": len(passes),
        "statuses": statuses,
        "coverage": coverage,
        "incomplete": coverage < LEAST_COVERAGE,
        "failed": failed,
        "calls": len(now),
        "requests": counts.requests,
        "tokens": asdict(budget.usage),
        "tokens_from_store": asdict(_add(stored)),
        "dollars": round(budget.spent, 6) if price else None,
        "dollars_unsure": round(budget.unsure, 6) if price else None,
        "dollars_from_store": round(sum(price.cost(one.usage) for one in stored if one.usage), 6) if price else None,
        "price": describe_price(price),
    }


def _add(completions: Iterable[Completion]) -> Usage:
    total = Usage()
    for completion in completions:
        total += completion.usage or Usage()
    return total
