"""Replies without a verdict: whether the judge refused, could not be asked, or said something that cannot be read."""

from __future__ import annotations

from evaluate.judging import Reply, Verdict

_APOLOGIES = (
    *("i'm sorry", "i am sorry", "sorry", "i apologize", "my apologies", "i can't", "i cannot", "i'm unable"),
    *("i am unable", "i'm not able", "i am not able", "unfortunately, i"),
)


def refuse(reply: Reply, wanted: str, text: str | None = None) -> Verdict:
    """The verdict about a reply that could not be read.

    Args:
        reply: of the judge.
        wanted: what it should hold, in words.
        text: of the verdict; otherwise what the judge said.

    Example:
        >>> [refuse(Reply(text), "a number").status for text in ("I am sorry, but no.", "seven")]
        ['refusal', 'parse_error']
    """
    said = reply.text.strip() if text is None else text
    if reply.finish_reason == "context_length":
        return Verdict(said, "api_error", "the request is too long for the judge")
    if reply.refusal or reply.finish_reason == "content_filter":
        return Verdict(said, "refusal", reply.refusal or "the server filtered the reply")
    start = reply.text.lstrip()[:40].lower().replace("\u2019", "'")
    quoted = " ".join(reply.text[:200].split())[:80]
    reason = f"expected {wanted}, got {quoted!r}"
    if reply.finish_reason == "length":
        reason += ", which was cut off"
    return Verdict(said, "refusal" if start.startswith(_APOLOGIES) else "parse_error", reason)
