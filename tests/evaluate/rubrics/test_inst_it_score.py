"""The judge of Inst-It Bench against tests/golden/instit_oe.json, and servers that know no structured replies."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from evaluate.judges.call import Server, make_body
from evaluate.judging import Reply
from evaluate.rubrics.inst_it_score import ASKED_IN_WORDS, IN_WORDS, STRUCTURE, InstItScore
from evaluate.sample import Sample
from evaluate.scorers.inst_it_open import InstItReference
from internvl.conversation import Conversation
from tests.evaluate.verdicts import drive

GOOD = '{"sample_score": 0.4}'


def make_sample(question: str = "q", answer: str = "g", split: Any = "video") -> Sample:
    return Sample("1", Conversation.ask("?"), InstItReference(question, answer, split))


@pytest.mark.golden("instit_oe")
def test_requests_equal_the_published_ones(family: dict[str, Any]) -> None:
    for case in family["cases"]:
        if case["input"]["fn"] != "request":
            continue
        row, expected = case["input"]["prediction"], case["expected"]
        sample = make_sample(row["question"], row["ground_truth"], row["split"])
        verdict, [request] = drive(InstItScore().grade(row["model_prediction"], sample), GOOD)
        assert (verdict, verdict.status, verdict.reason) == (GOOD, "ok", "")
        body = make_body(Server(InstItScore().model), request)
        [message] = body["messages"]
        first, second = message["content"]
        structure = body["response_format"]["json_schema"]
        assert {
            "model": body["model"],
            "role": message["role"],
            "n_parts": len(message["content"]),
            "part_types": [part["type"] for part in message["content"]],
            "part0_sha256": hashlib.sha256(first["text"].encode()).hexdigest(),
            "part0_chars": len(first["text"]),
            "part1_text": second["text"],
            "other_keys": [key for key in body if key not in ("model", "messages")],
            "schema": {key: value for key, value in structure["schema"].items() if key != "additionalProperties"},
        } == expected
        assert (structure["name"], structure["strict"]) == ("SampleScore", True)
        assert structure["schema"]["additionalProperties"] is False


def test_reply_without_structure_is_asked_for_in_words() -> None:
    verdict, requests = drive(InstItScore().grade("hi", make_sample()), "Quite right: 0.4.", f"So {GOOD}")
    assert (verdict, verdict.status, verdict.reason) == (f"So {GOOD}", "ok", ASKED_IN_WORDS)
    assert [request.response_format for request in requests] == [STRUCTURE, None]
    assert requests[1].messages[0].parts == (*requests[0].messages[0].parts, IN_WORDS)
    assert {request.max_tokens for request in requests} == {None}


@pytest.mark.parametrize(
    ("reply", "status", "calls"),
    [
        (Reply("", refusal="I will not."), "refusal", 1),
        (Reply(GOOD, refusal="I will not."), "refusal", 1),
        (Reply("", "content_filter"), "refusal", 1),
        (Reply("", "context_length"), "api_error", 1),
        (Reply("I'm sorry, but no."), "refusal", 2),
        (Reply("seven"), "parse_error", 2),
        (Reply('{"sample_score": 0.', "length"), "parse_error", 2),
    ],
)
def test_replies_without_a_score_say_why(reply: Reply, status: str, calls: int) -> None:
    verdict, requests = drive(InstItScore().grade("hi", make_sample()), reply)
    assert (verdict.status, len(requests)) == (status, calls)
    assert verdict.reason


def test_answers_of_models_are_stripped_and_those_of_files_are_sent_as_they_are() -> None:
    for rubric, said in ((InstItScore(strips=True), "hi"), (InstItScore(), " hi\\n")):
        _, [request] = drive(rubric.grade(" hi\n", make_sample()), GOOD)
        assert str(request.messages[0].parts[1]).endswith(f'"tester_response": "{said}"}}')


def test_half_of_a_character_can_be_sent() -> None:
    _, [request] = drive(InstItScore().grade("\ud83d", make_sample()), GOOD)
    assert request.messages[0].parts[1] == '{"question": "q", "ground_truth_answer": "g", "tester_response": "\\ud83d"}'
    assert (InstItScore().name, InstItScore().model) == ("inst-it-score", "gpt-4o-2024-08-06")
