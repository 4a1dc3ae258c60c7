"""The extraction of MathVista against tests/golden/mathvista.json: when a judge is asked, and what, byte for byte."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from evaluate.judging import Reply
from evaluate.rubrics.math_extraction import CALLS, DEMONSTRATIONS, MathExtraction, word_response
from evaluate.sample import Sample
from evaluate.scorers.math_answer import MathTarget, math_answer
from internvl.conversation import Conversation
from tests.evaluate.verdicts import drive, read_words

CHOICE = MathTarget("8/11", "multi_choice", "text", ("3/11", "8/11"))


def make_sample(target: MathTarget, query: str = "Which?") -> Sample:
    return Sample("1", Conversation.ask(query), target, {"record": {"query": query}})


@pytest.mark.golden("mathvista", kind="extract")
def test_a_judge_is_asked_what_the_original_asks(case: dict[str, Any]) -> None:
    problem, response, expected = case["input"]["problem"], case["input"]["response"], case["expected"]
    target = MathTarget(None, problem["question_type"], problem["answer_type"], tuple(problem["choices"] or ()))
    verdict, requests = drive(MathExtraction().grade(response, make_sample(target, problem["query"])), " B \n")
    if case["input"]["quick_extract"] and not expected["judge"]:
        # That rule is off as published, and only a judge reads what it would.
        assert (verdict == expected["extraction"], len(requests)) == (True, 0) if verdict.is_direct else (False, 1)
        return
    if not expected["judge"]:
        assert (verdict, verdict.status, verdict.is_direct, requests) == (expected["extraction"], "ok", True, [])
        return
    assert (verdict, verdict.status, verdict.is_direct) == ("B", "ok", False)
    assert hashlib.sha256(DEMONSTRATIONS.encode()).hexdigest() == expected["few_shot_sha256"]
    assert [read_words(request) for request in requests] == [[("user", DEMONSTRATIONS + expected["message_tail"])]]
    assert (requests[0].max_tokens, requests[0].temperature, requests[0].repeat) == (256, 0, 0)
    assert requests[0].seed is requests[0].top_p is requests[0].response_format is None


def test_an_empty_reply_is_asked_for_again_five_times_in_all() -> None:
    verdict, requests = drive(MathExtraction().grade("It is B.", make_sample(CHOICE)), "", " \n", "", "", "(B)")
    assert (verdict, verdict.status) == ("(B)", "ok")
    assert [request.repeat for request in requests] == list(range(CALLS)) == [0, 1, 2, 3, 4]
    assert len({request.messages for request in requests}) == 1
    verdict, requests = drive(MathExtraction().grade("It is B.", make_sample(CHOICE)), "")
    assert (verdict, verdict.status, len(requests)) == ("", "parse_error", CALLS)
    assert verdict.reason == "expected an answer in 5 calls, got ''"
    verdict, _ = drive(MathExtraction().grade("It is B.", make_sample(CHOICE)), Reply("", refusal="no"))
    assert (verdict, verdict.status, verdict.reason) == ("", "refusal", "no")


def test_a_prompt_that_is_too_long_loses_its_first_tenth_each_time() -> None:
    too_long, response = Reply("", "context_length"), "long " * 1000
    verdict, requests = drive(MathExtraction().grade(response, make_sample(CHOICE)), too_long, too_long, "B")
    whole, first, second = (read_words(request)[0][1] for request in requests)
    assert whole == word_response("Which?", response)
    assert (len(first), len(second)) == (int(len(whole) * 0.9), int(int(len(whole) * 0.9) * 0.9))
    assert whole.endswith(first)
    assert first.endswith(second)
    assert verdict == "B"
    verdict, requests = drive(MathExtraction().grade(response, make_sample(CHOICE)), too_long)
    assert (verdict, verdict.status, len(requests)) == ("", "api_error", CALLS)


def test_verdicts_are_scored_and_counted_by_who_read_them() -> None:
    asked = [("8/11", ""), ("It is B.", "B"), ("I guess 8/12", "8/12"), ("Hm.", ""), ("", "")]
    verdicts = [drive(MathExtraction().grade(answer, make_sample(CHOICE)), reply)[0] for answer, reply in asked]
    scores = math_answer()(verdicts, [CHOICE] * len(asked))
    assert scores.samples == (1.0, 1.0, 1.0, None, 0.0)
    assert (scores.num_unparsed, scores.num_unscored) == (1, 0)
    wanted = {"accuracy": 75, "accuracy_official": 60, "accuracy_strict": 60, "coverage": 80}
    counts = {"num_direct": 2, "num_by_judge": 2, "num_nearest_choice": 2}
    assert {name: scores.metrics[name] for name in wanted | counts} == pytest.approx(wanted | counts)
    assert (MathExtraction().name, MathExtraction().model) == ("math-extraction", "gpt-3.5-turbo")


def test_what_the_judge_read_nothing_out_of_may_be_the_nearest_choice_in_the_published_number_alone() -> None:
    target = MathTarget("No", "multi_choice", "text", ("Yes", "No"))
    verdict, _ = drive(MathExtraction().grade("Hm.", make_sample(target)), "")
    metrics = math_answer()([verdict], [target]).metrics
    assert (metrics["accuracy_official"], metrics["accuracy_strict"], metrics["coverage"]) == (100, 0, 0)
    assert metrics["accuracy"] != metrics["accuracy"]
