"""Judges for tests: rubrics are driven by hand, with replies that are written down."""

from __future__ import annotations

from evaluate.judging import Grading, Reply, Request, Verdict


def drive(grading: Grading, *replies: str | Reply) -> tuple[Verdict, list[Request]]:
    """The verdict and everything that was asked; the last reply is given as often as one is wanted."""
    requests: list[Request] = []
    try:
        requests.append(next(grading))
        while True:
            said = replies[min(len(requests), len(replies)) - 1]
            requests.append(grading.send(said if isinstance(said, Reply) else Reply(said)))
    except StopIteration as stop:
        return stop.value, requests


def read_words(request: Request) -> list[tuple[str, str]]:
    """Role and words of every message."""
    return [(message.role, "".join(p for p in message.parts if isinstance(p, str))) for message in request.messages]
