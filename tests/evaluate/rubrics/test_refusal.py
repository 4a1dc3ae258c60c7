"""Why a reply is no verdict."""

from __future__ import annotations

import doctest

import pytest

from evaluate.judging import Reply
from evaluate.rubrics import refusal as module
from evaluate.rubrics.refusal import refuse


@pytest.mark.parametrize(
    ("reply", "status", "reason"),
    [
        (Reply("I’m sorry, but no."), "refusal", "expected a grade, got 'I’m sorry, but no.'"),
        (Reply("Seven,\n I think"), "parse_error", "expected a grade, got 'Seven, I think'"),
        (Reply("", refusal="not that"), "refusal", "not that"),
        (Reply("", "content_filter"), "refusal", "the server filtered the reply"),
        (Reply("Well", "length"), "parse_error", "expected a grade, got 'Well', which was cut off"),
        (Reply("", "context_length"), "api_error", "the request is too long for the judge"),
    ],
)
def test_reasons_are_told_apart(reply: Reply, status: str, reason: str) -> None:
    verdict = refuse(reply, "a grade")
    assert (verdict, verdict.status, verdict.reason) == (reply.text.strip(), status, reason)


def test_examples() -> None:
    assert doctest.testmod(module).failed == 0
