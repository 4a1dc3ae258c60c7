"""Calls: everything that can change a reply is in the key, and only what is given is sent."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from evaluate.judges.call import Call, Completion, Series, Server, Usage, make_body, make_key, read_record, write_record
from evaluate.judging import Message, Reply, Request

REQUEST = Request((Message("system", ("Be brief.",)), Message("user", ("Why?", " And how?"))), 5)
SERVER = Server("judge", "http://host/v1")
CHANGES: list[dict[str, Any]] = [
    {"messages": (*REQUEST.messages, Message("assistant", ("No.",)))},
    {"messages": (REQUEST.messages[1],)},
    {"max_tokens": 6},
    {"max_tokens": None},
    {"temperature": 0.0},
    {"temperature": 0.5},
    {"top_p": 0.5},
    {"seed": 0},
    {"response_format": {"type": "json_object"}},
    {"repeat": 1},
]


def test_everything_that_can_change_a_reply_is_in_the_key() -> None:
    calls = [Call(SERVER, replace(REQUEST, **change)) for change in CHANGES]
    calls += [Call(Server("other", SERVER.url), REQUEST), Call(Server("judge", "https://host/v1"), REQUEST)]
    calls += [Call(SERVER, REQUEST, Series(1)), Call(SERVER, REQUEST, Series(0, 1)), Call(SERVER, REQUEST)]
    assert len({call.key for call in calls}) == len(calls)
    assert Call(SERVER, replace(REQUEST, usual_tokens=9)).key == Call(SERVER, REQUEST).key
    assert Call(SERVER, replace(REQUEST, temperature=0)).key == Call(SERVER, replace(REQUEST, temperature=0.0)).key
    assert make_key(calls[0].content) == calls[0].key


def test_only_what_is_given_is_sent() -> None:
    assert make_body(SERVER, REQUEST) == {
        "model": "judge",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "Why?"}, {"type": "text", "text": " And how?"}]},
        ],
        "max_tokens": 5,
    }
    assert set(make_body(SERVER, replace(REQUEST, max_tokens=None, usual_tokens=9))) == {"model", "messages"}
    full = replace(REQUEST, temperature=0.0, top_p=1.0, seed=0, response_format={"type": "json_object"}, repeat=3)
    assert set(make_body(SERVER, full)) == {
        "model", "messages", "max_tokens", "temperature", "top_p", "seed", "response_format"
    }  # fmt: skip
    shown = make_body(SERVER, Request((Message("user", ("\ud83d", b"\xff\xd8\xffjpeg")),), 5))["messages"][0]["content"]
    assert shown[0] == {"type": "text", "text": "?"}
    assert shown[1]["image_url"]["url"].startswith("data:image/jpeg;base64,")


def test_records_and_names() -> None:
    completion = Completion(Reply("7"), Usage(1, 0, 2), "m", dropped=("seed",))
    record = write_record(Call(SERVER, REQUEST), completion)
    assert read_record(record) == completion
    for wrong in ([], {}, {"text": 7}):
        with pytest.raises(ValueError, match="no record"):
            read_record(wrong)
    names = ("gpt-4o-2024-08-06", "gpt-4-0613", "gpt-3.5-turbo-0125", "judge-20240101")
    assert all(Server(name).is_dated for name in names)
    assert not any(Server(name).is_dated for name in ("gpt-4o", "gpt-4", "llama-3.1-8b", "qwen-1234567"))
    assert Server("m", "http://host:8000/v1").host == "host:8000"
    assert Usage(1, 2, 3) + Usage(1, 1, 1) == Usage(2, 3, 4)
