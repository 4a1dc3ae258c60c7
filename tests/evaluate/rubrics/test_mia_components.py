"""The judge of MIA-Bench against tests/golden/mia_judge_prompt.json and the whole loop of mia_aggregate.json."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from evaluate.demo.pictures import draw, write_picture
from evaluate.judging import Reply, Verdict
from evaluate.rubrics.mia_components import PICTURE, MiaComponents, word_components
from evaluate.sample import Sample
from evaluate.scorers.mia_bench import MiaTarget, average_official
from internvl.conversation import Conversation
from tests.evaluate.verdicts import drive, read_words

GOOD = "score of component 1: 3/6, score of component 2: 4/4, total score: 7/10. Good."


def read_target(item: dict[str, Any]) -> MiaTarget:
    lists = (tuple(item[key]) for key in ("components", "component_weight", "component_type"))
    return MiaTarget(item["instruction"], item["type"], *lists)


def make_sample(target: MiaTarget, picture: Path) -> Sample:
    return Sample("0", Conversation.ask(target.instruction), target, {PICTURE: str(picture)})


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    write_picture(tmp_path / "a.jpg", 1)
    return tmp_path / "a.jpg"


@pytest.mark.golden("mia_judge_prompt")
def test_prompts_equal_the_published_ones(case: dict[str, Any]) -> None:
    assert word_components(read_target(case["input"]["item"]), case["input"]["response"]) == case["expected"]


def judge(answer: str, sample: Sample, plan: list[dict[str, str]], tries: int = 5) -> tuple[Verdict, int]:
    """A verdict and the calls for it, where a call that fails is made again at once."""
    done = next((number for number, call in enumerate(plan) if "content" in call), None)
    if done is None or done >= tries:
        grading = MiaComponents().grade(answer, sample)
        try:
            next(grading)
        except StopIteration as stop:
            return stop.value, 0
        return Verdict("", "api_error", "no call came through"), tries
    verdict, requests = drive(MiaComponents().grade(answer, sample), plan[done]["content"])
    return verdict, done + len(requests)


@pytest.mark.golden("mia_aggregate")
def test_whole_loop_agrees_with_the_original(family: dict[str, Any], picture: Path) -> None:
    cases = [case for case in family["cases"] if case["input"]["fn"] == "flow"]
    if not cases:
        pytest.skip("no mia_aggregate of kind flow")
    for case in cases:
        targets = [read_target(item) for item in case["input"]["benchmark"]]
        rows = zip(case["input"]["answers"], targets, case["input"]["judge"], strict=True)
        judged = [judge(answer["text"], make_sample(target, picture), plan) for answer, target, plan in rows]
        assert [calls for _, calls in judged] == case["expected"]["judge_calls_per_row"]
        verdicts = [verdict for verdict, _ in judged]
        assert [str(said) or None for said in verdicts] == case["expected"]["score_raw"]
        found = {name: mean for name, (mean, _) in average_official(verdicts, targets).items()}
        assert found == pytest.approx(case["expected"]["averages"], rel=0, abs=1e-9)


TARGET = MiaTarget("Say hi in rhyme. ", "basic", ("Say hi", "in rhyme"), (6, 4), ("describe", "linguistics"))


def test_judge_sees_the_words_and_then_the_picture_itself(picture: Path) -> None:
    verdict, requests = drive(MiaComponents().grade("hi", make_sample(TARGET, picture)), f"  {GOOD}\n")
    assert (verdict, verdict.status) == (GOOD, "ok")
    [request] = requests
    assert read_words(request) == [("user", word_components(TARGET, "hi"))]
    assert request.messages[0].parts[1:] == (draw(1),)
    assert (request.max_tokens, request.temperature, request.seed, request.top_p) == (2000, None, None, None)
    assert request.response_format is None


@pytest.mark.parametrize(("answer", "asked"), [("error", 0), ("Error", 1), ("error ", 1), ("", 1)])
def test_one_word_alone_is_not_judged(picture: Path, answer: str, asked: int) -> None:
    verdict, requests = drive(MiaComponents().grade(answer, make_sample(TARGET, picture)), GOOD)
    assert (len(requests), verdict.status) == (asked, "ok" if asked else "no_prediction")


def test_picture_that_is_missing_is_no_prediction(tmp_path: Path) -> None:
    verdict, requests = drive(MiaComponents().grade("hi", make_sample(TARGET, tmp_path / "no.jpg")), GOOD)
    assert (verdict.status, requests) == ("no_prediction", [])
    assert "no.jpg is not there" in verdict.reason


def test_first_reply_counts_unless_more_are_wanted(picture: Path) -> None:
    sample = make_sample(TARGET, picture)
    verdict, requests = drive(MiaComponents().grade("hi", sample), "I'm sorry, but no.", GOOD)
    assert (verdict.status, len(requests)) == ("refusal", 1)
    patient = MiaComponents(further=1)
    verdict, requests = drive(patient.grade("hi", sample), "3 of 6", GOOD)
    assert (verdict.status, [request.repeat for request in requests]) == ("ok", [0, 1])
    verdict, _ = drive(patient.grade("hi", sample), Reply("", "content_filter"))
    assert verdict.status == "refusal"
    assert (MiaComponents().name, patient.name) == ("mia-components", "mia-components+further1")
    assert MiaComponents().model == "gpt-4o"
