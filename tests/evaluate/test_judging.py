"""A rubric driven by hand: requests out, replies in, a verdict at the end."""

from __future__ import annotations

import pytest

from evaluate.judging import Grading, Message, Reply, Request, Verdict


def grade_twice(answer: str) -> Grading:
    """Ask once more where the first reply is no number."""
    asked = (Message("user", (answer,)),)
    reply = yield Request(asked, 3)
    if not reply.text.isdecimal():
        reply = yield Request(asked, 3, temperature=0.5, repeat=1)
    return Verdict(reply.text) if reply.text.isdecimal() else Verdict(reply.text, "parse_error", "no number")


def drive(grading: Grading, *texts: str) -> Verdict:
    next(grading)
    for text in texts[:-1]:
        grading.send(Reply(text))
    with pytest.raises(StopIteration) as stop:
        grading.send(Reply(texts[-1]))
    return stop.value.value


def test_a_verdict_is_the_text_that_is_scored_with_its_status() -> None:
    good, second, bad = (drive(grade_twice("x"), *texts) for texts in (["7"], ["seven", "7"], ["seven", "eight"]))
    assert (good, good.status) == ("7", "ok")
    assert (second, second.status) == ("7", "ok")
    assert (bad, bad.status, bad.reason) == ("eight", "parse_error", "no number")
