"""The review of LLaVA-Bench: the message against tests/golden/llava_bench.json, byte for byte, and its reply."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from evaluate.benchmarks.llava_bench import list_reviews
from evaluate.judging import Verdict
from evaluate.rubrics.llava_review import RULE, SYSTEM, LlavaReview, word_review
from evaluate.sample import Sample
from evaluate.scorers.llava_bench import LlavaTarget
from internvl.conversation import Conversation
from tests.evaluate.verdicts import drive, read_words


def read_sample(case: dict[str, Any]) -> Sample:
    question, reference, caption = (case["input"][key] for key in ("question", "answer1", "caption"))
    context = caption if isinstance(caption, str) else "\n".join(caption)
    target = LlavaTarget(question["text"], context, reference["text"], question["category"])
    info = {"question_id": question["question_id"], "answer1_id": reference["answer_id"]}
    return Sample(str(question["question_id"]), Conversation.ask(question["text"]), target, info)


@pytest.mark.golden("llava_bench", kind="review_record")
def test_message_and_record_equal_the_published_ones(case: dict[str, Any]) -> None:
    sample, answer = read_sample(case), case["input"]["answer2"]["text"]
    assert hashlib.sha256(RULE.encode()).hexdigest() == case["expected"]["rule_prompt_sha256"]
    assert word_review(sample.target, answer, case["input"]["rule_prompt"]) == case["expected"]["message"]
    verdict, requests = drive(LlavaReview().grade(answer, sample), case["input"]["judge_reply"])
    asked = case["expected"]["message"].replace(case["input"]["rule_prompt"], RULE)
    assert [read_words(request) for request in requests] == [[("system", SYSTEM), ("user", asked)]]
    assert (requests[0].max_tokens, requests[0].temperature, requests[0].repeat) == (1024, 0.2, 0)
    assert requests[0].seed is requests[0].top_p is requests[0].response_format is None
    assert [*list_reviews([verdict], [sample])] == [case["expected"]["record"]]


def test_ratings_that_cannot_be_read_are_asked_for_again_only_where_wanted() -> None:
    sample = Sample("1", Conversation.ask("What?"), LlavaTarget("What?", "A cat.", "It is.", "conv"))
    verdict, requests = drive(LlavaReview().grade("A dog.", sample), "8, 9", "8 9")
    assert (verdict, verdict.status, len(requests)) == ("8, 9", "parse_error", 1)
    patient = LlavaReview(further=2)
    verdict, requests = drive(patient.grade("A dog.", sample), "nan 9", "8 9\nGood.")
    assert (verdict, verdict.status, [request.repeat for request in requests]) == ("8 9\nGood.", "ok", [0, 1])
    assert (LlavaReview().name, patient.name) == ("llava-review", "llava-review+further2")
    assert LlavaReview().model == "gpt-4-0613"


def test_file_of_reviews_says_minus_one_where_there_are_no_ratings() -> None:
    sample = Sample("1", Conversation.ask("What?"), LlavaTarget("What?", "A cat.", "It is.", "conv"), {"answer1_id": 7})
    sample = Sample(sample.id, sample.prompt, sample.target, {**sample.info, "question_id": 1})
    rows = [*list_reviews([Verdict("../../x 9", "parse_error"), Verdict("", "api_error")], [sample] * 2)]
    assert [row["tuple"] for row in rows] == [[-1, -1]] * 2
    assert [row["id"] for row in rows] == [1, 2]
