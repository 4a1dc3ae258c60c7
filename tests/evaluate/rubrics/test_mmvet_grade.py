"""The grading of MM-Vet against tests/golden/mmvet.json: every message, call and temperature."""

from __future__ import annotations

import hashlib
import math
from typing import Any

import pytest

from evaluate.judging import Reply, Request, Verdict
from evaluate.rubrics.mmvet_grade import AGAIN, CALLS, PROMPT, MmvetGrade, word_question
from evaluate.sample import Sample
from evaluate.scorers.mmvet import MmvetTarget, mmvet
from internvl.conversation import Conversation
from tests.evaluate.verdicts import drive, read_words

SAMPLE = Sample("0", Conversation.ask("What is x? "), MmvetTarget("What is x?", "-1<AND>-5", ("ocr", "math")))


def words(request: Request) -> str:
    [(role, text)] = read_words(request)
    assert role == "user"
    return text


def ask(replies: list[str]) -> tuple[Verdict, list[Request], list[float]]:
    """As a client does that makes a failed call again; a failure is no reply."""
    said = [reply for reply in replies if reply != "<ratelimit>"] or [""]
    verdict, requests = drive(MmvetGrade().grade("x", SAMPLE), *said)
    failed = [0.0] * (len(replies) - len(said))
    return verdict, requests, failed + [request.temperature or 0.0 for request in requests]


@pytest.mark.golden("mmvet", kind="message")
def test_messages_equal_the_published_ones(case: dict[str, Any]) -> None:
    target = MmvetTarget(case["input"]["question"], case["input"]["answer"], ("ocr",))
    expected = case["expected"]
    assert hashlib.sha256(PROMPT.encode()).hexdigest() == expected["prompt_sha256"]
    assert word_question(target, case["input"]["prediction"], "{PROMPT}") == expected["message"]
    sample = Sample("0", Conversation.ask("q"), target)
    _, requests = drive(MmvetGrade().grade(case["input"]["prediction"], sample), "?", "1")
    asked = [expected[key].replace("{PROMPT}", PROMPT) for key in ("message", "retry_message")]
    assert [words(request) for request in requests] == asked


@pytest.mark.golden("mmvet", kind="grade")
def test_calls_and_grades_agree_with_the_original(case: dict[str, Any]) -> None:
    expected = case["expected"]
    verdict, requests, temperatures = ask(case["input"]["replies"])
    score = mmvet()([verdict], [SAMPLE.target]).metrics["score_official"] / 100
    assert {request.max_tokens for request in requests} == {expected["max_tokens"]}
    if math.isnan(expected["score"]):
        # The original takes it for a grade, and no number comes out of the whole benchmark any more.
        assert (verdict.status, len(requests), score) == ("parse_error", CALLS, 0)
        return
    assert score == pytest.approx(expected["score"], rel=0, abs=1e-9)
    assert temperatures == expected["temperatures"]
    assert len(temperatures) == expected["requests"]
    assert any(AGAIN in words(request) for request in requests) == expected["retry_wording_used"]
    assert (verdict.status == "ok") == (not math.isnan(mmvet()([verdict], [SAMPLE.target]).metrics["score"]))


def test_no_request_of_one_run_is_made_twice_and_runs_are_told_apart() -> None:
    grader = MmvetGrade(runs=3)
    replies = ["0.5", "?", "0.25", "?", "?", "?", "?", "?", "?"]
    verdict, requests = drive(grader.grade("x", SAMPLE), *replies)
    assert (verdict, verdict.status) == ("0.5 0.25 -", "parse_error")
    assert [request.repeat for request in requests] == [0, 1, 1, *[2] * CALLS]
    assert len({(words(r), r.temperature, r.repeat) for r in requests}) == len(requests)
    assert (MmvetGrade().name, grader.name, grader.model) == ("mmvet-grade", "mmvet-grade+runs3", "gpt-4-0613")


def test_what_no_further_call_can_mend_is_not_asked_again() -> None:
    verdict, requests = drive(MmvetGrade().grade("x" * 10**6, SAMPLE), Reply("", "context_length"))
    assert (verdict.status, len(requests)) == ("api_error", 1)
    verdict, requests = drive(MmvetGrade().grade("x", SAMPLE), Reply("", refusal="no"), Reply("0.5"))
    assert (verdict, len(requests)) == ("0.5", 2)
