"""Published files of Inst-It Bench: rows that are refused with their places; logs against golden instit_oe.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from evaluate.inst_it_files import make_choice_log, make_open_log, read_inference, write_log
from evaluate.judging import Verdict
from evaluate.rubrics.inst_it_score import ASKED_IN_WORDS, PROMPTS
from evaluate.sample import Prediction, Sample
from evaluate.scorer import NoAnswer
from internvl.conversation import Conversation
from internvl.errors import InputError, MissingError

ROW = {"question_id": "001-01", "question": "?", "model_prediction": "B", "ground_truth": "B", "split": "video"}


def write(path: Path, content: Any) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "expected JSON, got "),
        ('{"a": 1}', "expected a list of answers, got dict; write one object per question"),
        ("[]", "expected a list of answers, got an empty one"),
        ([7], "row 1: expected an object, got 7"),
        (
            [{**ROW, "model_prediction": None}],
            "row 1: expected a text as model_prediction, got None; write it as a text",
        ),
        ([ROW, {**ROW, "question_id": 2}], "row 2: expected a text as question_id, got 2"),
        (
            [{"question_id": "1", "question": "?"}],
            "row 1: expected the keys .*, got no model_prediction; name the keys",
        ),
        ([ROW, ROW], "row 2: expected each question_id once, got '001-01' of row 1 again; leave one of them out"),
        ([{**ROW, "question_id": ""}], "row 1: expected a question_id, got an empty one"),
        ([{**ROW, "split": "audio"}], "row 1: expected image or video as split, got 'audio'; correct it"),
        (
            [ROW, {**ROW, "question_id": "2", "split": "image"}],
            "expected answers to one split, got 1 of image and 1 of video; write a file for each",
        ),
        (
            [{**ROW, "ground_truth": "It is."}],
            "expected letters as ground_truth, got sentences; name the file of mc, or",
        ),
    ],
)
def test_what_is_no_published_file_is_refused_with_its_place(tmp_path: Path, content: Any, message: str) -> None:
    path = write(tmp_path / "a.json", content)
    with pytest.raises(InputError, match=f"^{path}: {message}") as caught:
        read_inference(path, "mc")
    assert "\n" not in str(caught.value)


def test_formats_ask_for_their_own_file(tmp_path: Path) -> None:
    path = write(tmp_path / "a.json", [ROW])
    with pytest.raises(
        InputError, match=r"expected sentences as ground_truth, got letters; .* --evaluation_formats mc"
    ):
        read_inference(path, "oe")
    write(path, [{key: value for key, value in ROW.items() if key != "split"}])
    assert len(read_inference(path, "mc")) == 1
    with pytest.raises(InputError, match="got no split; name the keys as published"):
        read_inference(path, "oe")
    with pytest.raises(MissingError, match="expected a file of answers, which does not exist"):
        read_inference(tmp_path / "none.json", "mc")


def stub_verdict(plan: dict[str, Any]) -> Verdict:
    if "score" in plan:
        return Verdict(json.dumps({"sample_score": plan["score"]}))
    if "exception" in plan:
        return Verdict("", "api_error", plan["exception"])
    return Verdict("", "refusal", "I will not.")


@pytest.mark.golden("instit_oe")
def test_judged_numbers_agree_with_the_original(family: dict[str, Any]) -> None:
    for case in family["cases"]:
        if case["input"]["fn"] != "aggregate":
            continue
        rows, expected = case["input"]["predictions"], case["expected"]
        log = make_open_log(rows, list(map(stub_verdict, case["input"]["judge"])), rows[0]["split"], {})
        assert {name: log[name] for name in expected if name != "rows"} == {
            name: value for name, value in expected.items() if name != "rows"
        }
        for row, found, given in zip(expected["rows"], log["model_predictons"], rows, strict=True):
            assert {**given, **{key: found[key] for key in row}} == found
            wanted = {**row, "error_in_gpt_eval": row["error_in_gpt_eval"] or found["error_in_gpt_eval"]}
            assert {key: found[key] for key in row} == wanted
        assert [*log] == [
            *("accuracy", "total_num", "valid_num", "timestamp", "gpt_prompt", "extra", "model_predictons"),
        ]
        assert log["gpt_prompt"] == PROMPTS[rows[0]["split"]]


def test_open_log_says_what_the_published_one_does_not() -> None:
    verdicts = [
        Verdict('{"sample_score": 1.5}', "ok", ASKED_IN_WORDS),
        Verdict("", "parse_error", "expected a score"),
        NoAnswer(),
    ]
    log = make_open_log([{**ROW, "question_id": str(n)} for n in range(3)], verdicts, "video", {"failed": ["2"]})
    assert log["extra"] == {
        "accuracy_all": 50.0,
        "statuses": {"no_prediction": 1, "ok": 1, "parse_error": 1},
        "out_of_range_num": 1,
        "structured_output": False,
        "failed": ["2"],
    }
    assert [row["error_in_gpt_eval"] for row in log["model_predictons"]] == [
        *("No Error.", "expected a score", "there is no answer")
    ]


def test_choice_log_has_the_published_keys() -> None:
    log = make_choice_log([ROW, {**ROW, "model_prediction": "none"}], {})
    assert [*log] == [
        *("accuracy", "total_num", "valid_num", "correct_num", "timestamp", "extra", "model_predictons"),
    ]
    assert (log["accuracy"], log["extra"]) == (100.0, {"accuracy_all": 50.0, "accuracy_corrected": 50.0})
    assert log["model_predictons"][0] == {**ROW, "extracted_model_prediction": "B"}
    nothing = make_choice_log([{**ROW, "model_prediction": "x"}], {})
    assert (nothing["accuracy"], nothing["extra"]["accuracy_all"]) == ("No valid predictions.", 0)


@pytest.mark.parametrize("kind", ["mc", "oe"])
def test_samples_that_failed_are_named_in_the_log(tmp_path: Path, kind: Any) -> None:
    samples = [Sample(n, Conversation.ask("?"), "A", {"question": "?", "ground_truth": "A"}) for n in "ab"]
    predictions = [Prediction("b", "A"), Prediction("a", "half", "no memory")]
    verdicts = [Verdict('{"sample_score": 1}') if kind == "oe" else "A", NoAnswer()]
    write_log(tmp_path, (predictions, verdicts, samples), "image", kind)
    log = json.loads((tmp_path / f"image_{kind}_evaluate.json").read_text())
    assert (log["accuracy"], log["valid_num"], log["total_num"]) == (100, 1, 2)
    assert (log["extra"]["failed"], log["extra"]["accuracy_all"]) == (["a"], 50)
    assert [(row["question_id"], row["model_prediction"]) for row in log["model_predictons"]] == [("a", ""), ("b", "A")]
