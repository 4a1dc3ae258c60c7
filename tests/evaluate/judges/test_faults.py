"""Refusals of servers as they are worded: which are asked again, and after how long."""

from __future__ import annotations

import random
from datetime import datetime, timezone

from evaluate.judges.faults import Fault, draw_wait, read_fault, read_wait

SENT = ("model", "messages", "temperature", "seed", "max_tokens", "response_format")


def read(status: int, message: str = "", **more: object) -> Fault:
    return read_fault(status, {"message": message, **more}, SENT)


def test_what_helps_is_done() -> None:
    assert {read(code).kind for code in (408, 409, 429, 500, 502, 503, 529)} == {"again"}
    assert {read(code).kind for code in (401, 403, 404)} == {"hopeless"}
    assert read(429, "no money", code="insufficient_quota").kind == "hopeless"
    assert read(400, "The model `gpt-9` does not exist").kind == "hopeless"
    assert read(400, "bad picture").kind == "failed"
    assert read(400, "This model's maximum context length is 8192 tokens").kind == "context_length"
    assert read(400, "long", code="context_length_exceeded").kind == "context_length"
    assert read(400, "not this", code="content_filter").kind == "content_filter"
    assert read_fault(502, None, SENT) == Fault("again", "code 502")
    assert read_fault(400, {"error": "strange\nbody"}, SENT) == Fault("failed", "code 400: strange body")


def test_the_parameter_that_a_server_does_not_know() -> None:
    said = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
    assert read(400, said, param="max_tokens", code="unsupported_parameter").parameter == "max_tokens"
    said = "Unsupported value: 'temperature' does not support 0 with this model. Only the default (1) is supported."
    assert read(400, said, param="temperature", code="unsupported_value").parameter == "temperature"
    assert read(422, "Unrecognized argument: seed").parameter == "seed"
    assert read(400, "not supported", param="response_format.type").parameter == "response_format"
    assert read(400, "'top_p' is not supported").kind == "failed"  # was not sent
    assert read(400, "the size is not supported").kind == "failed"


def test_seconds_and_dates_to_wait() -> None:
    now = datetime(2026, 5, 4, 12, 0, 0, tzinfo=timezone.utc)
    assert read_wait({"retry-after": "7"}) == 7
    assert read_wait({"retry-after": "1.5"}) == 1.5
    assert read_wait({"retry-after-ms": "250", "retry-after": "1"}) == 0.25
    assert read_wait({"retry-after": "Mon, 04 May 2026 12:00:30 GMT"}, now) == 30
    assert read_wait({"retry-after": "Mon, 04 May 2026 11:00:30 GMT"}, now) == 0
    assert [read_wait({"retry-after": text}) for text in ("soon", "", "-3", "inf", "nan days")] == [0] * 5


def test_waits_are_drawn_from_twice_as_much_each_time() -> None:
    source = random.Random(0)
    for failures, most in ((1, 2), (3, 8), (9, 60)):
        drawn = [draw_wait(failures, source) for _ in range(200)]
        assert 0 <= min(drawn) < 0.1 * most
        assert 0.9 * most < max(drawn) <= most
