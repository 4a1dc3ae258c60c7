"""The account of a judging in words, for lines and pages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def tell_dollars(dollars: float) -> str:
    """Money for people; little of it with more digits."""
    return f"${dollars:,.2f}" if dollars >= 1 or dollars == 0 else f"${dollars:.4f}"


def tell_verdicts(account: Mapping[str, Any]) -> str:
    """How many answers have a good verdict, and why the others have none."""
    statuses = account["statuses"]
    others = ", ".join(f"{number} {status}" for status, number in statuses.items() if number and status != "ok")
    total = sum(statuses.values())
    mark = "INCOMPLETE, " if account["incomplete"] else ""
    return f"{mark}{statuses['ok']:,} of {total:,} judged" + (f" ({others})" if others else "")


def tell_cost(account: Mapping[str, Any]) -> str:
    """Tokens and money, now and from the store."""
    now, stored = account["tokens"], account["tokens_from_store"]
    parts = [f"{account['calls']:,} calls, {now['input']:,} tokens in, {now['output']:,} out"]
    if account["dollars"] is not None:
        parts[0] += f", {tell_dollars(account['dollars'])}"
        if account["dollars_unsure"]:
            parts[0] += f" and at most {tell_dollars(account['dollars_unsure'])} for requests that broke off"
    if stored["input"] or stored["output"]:
        old = f"from the store {stored['input']:,} in, {stored['output']:,} out"
        if account["dollars_from_store"] is not None:
            old += f", {tell_dollars(account['dollars_from_store'])}"
        parts.append(old)
    return "; ".join(parts)


def tell_judge(account: Mapping[str, Any]) -> str:
    """Who judged, for settings."""
    answered = ", ".join(account["answered_by"]) or "nobody"
    dropped = f"; without {', '.join(account['dropped'])}" if account["dropped"] else ""
    alias = "" if account["is_dated"] else "; an undated name, which may be another model tomorrow"
    return (
        f"{account['judge']} at {account['endpoint']} ({account['profile']}), answered by {answered}{dropped}{alias}; "
        f"{tell_verdicts(account)}; {tell_cost(account)}"
    )
