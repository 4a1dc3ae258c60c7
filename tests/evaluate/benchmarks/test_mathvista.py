"""MathVista: prompts, both splits in the official layout, the file of responses, and a score by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evaluate.benchmark import Benchmark, find
from evaluate.demo.files import write_rows
from evaluate.demo.mathvista import FOLDER, list_rows, write_mathvista, write_table
from evaluate.demo.pictures import draw
from evaluate.report import read_report
from evaluate.sample import Prediction
from evaluate.score_command import main
from evaluate.scorer import NoAnswer
from evaluate.scorers.math_answer import math_answer
from internvl.errors import InputError, MissingError
from tests.evaluate.stored_pictures import read_stored
from tests.evaluate.verdicts import drive, read_words

TABLE = FOLDER / "data" / "testmini-00000-of-00001.parquet"
RESPONSES = ("8/11", "14", "0.60", "[2007, 2008]", "about 1.45", "The answer is (A).")


def take(name: str) -> Benchmark:
    """A benchmark for any number of samples."""
    return replace(find(name)[0], size=None)


@pytest.mark.golden("prompts")
def test_prompts_equal_the_published_ones(family: dict[str, Any], tmp_path: Path) -> None:
    write_mathvista(tmp_path)
    rows = list_rows()
    for case in [case for case in family["cases"] if case["input"].get("benchmark") == "mathvista"]:
        write_table(tmp_path / TABLE, [{**rows[0], **case["input"]["record"]}, *rows[1:]])
        sample = take("mathvista-testmini").samples(tmp_path)[0]
        assert sample.prompt.turns[-1].text == "<image>\n" + case["expected"]["question"]


def test_names_sizes_and_settings_are_the_published_ones() -> None:
    found = find("mathvista-testmini,mathvista-test,mathvista-testmini-later,mathvista-testmini-rule-only")
    settings = [(b.size, b.generation.max_new_tokens) for b in found]
    assert settings == [(1000, 1000), (5141, 1000), (1000, 4096), (1000, 1000)]
    rules = [scorer.name if (scorer := b.scorer()) else "" for b in found]
    assert rules == ["math_answer@internvl-v1.2", "", "math_answer@internvl-later", "math_rule_only@internvl-v1.2"]
    assert [b.judged for b in found] == [b.rubric() is not None for b in found] == [True, False, True, False]


def test_questions_come_with_picture_choices_and_all_their_groups(tmp_path: Path) -> None:
    first, *_, last = take("mathvista-testmini").load(write_mathvista(tmp_path))
    assert read_stored(first) == [draw(1)]
    assert (first.target.answer, first.target.choices) == ("8/11", ("3/11", "8/11", "6/11"))
    assert "skills=statistical reasoning" in first.target.groups
    assert last.target.groups == (
        *("question_type=multi_choice", "answer_type=text", "language=chinese", "source=GeoQA+"),
        *("category=math-targeted-vqa", "task=figure question answering", "context=bar chart", "grade=high school"),
        "skills=arithmetic reasoning",
    )


def test_score_is_of_the_answers_that_need_no_judge_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_mathvista(tmp_path)
    write_rows(tmp_path / "mine.jsonl", [{"id": str(k), "text": text} for k, text in enumerate(RESPONSES, 1)])
    name = "mathvista-testmini-rule-only"
    command = [str(tmp_path / "mine.jsonl"), "--benchmark", name, "--root", str(tmp_path), "--allow-size"]
    assert main([*command, "--output", str(tmp_path)]) == 0
    told = capsys.readouterr().out
    assert f"{name}: accuracy_rule_only {200 / 3:.2f}" in told
    assert "(6 samples, 3 of them without a score, 0 errors" in told
    report = read_report(tmp_path / "mine" / name)
    metrics = report["metrics"]
    assert (report["primary"], report["num_unscored"]) == ("accuracy_rule_only", 3)
    assert (metrics["coverage"], metrics["num_nearest_choice"]) == (50.0, 0)
    # A decimal number that is right is wrong as published, because the hub's precision is a float.
    assert metrics["accuracy_rule_only/answer_type=float"] == 0
    assert metrics["accuracy_rule_only@internvl-later"] == 100
    assert "accuracy" not in metrics
    records = json.loads((tmp_path / "mine" / name / "submission.json").read_text(encoding="utf-8"))
    assert list(records) == ["1", "2", "3", "4", "5", "6"]
    assert records["6"] == {
        **{key: value for key, value in list_rows()[5].items() if key != "decoded_image"},
        "response": "The answer is (A).",
    }


def test_answers_are_read_by_rules_or_a_judge_scored_and_written_as_published(tmp_path: Path) -> None:
    benchmark = take("mathvista-testmini")
    samples, rubric = benchmark.load(write_mathvista(tmp_path)), benchmark.rubric()
    assert rubric is not None
    answers = [Prediction(sample.id, text) for sample, text in zip(samples, RESPONSES, strict=True)]
    answers[1] = Prediction("2", "", error="OSError")
    asked = [
        drive(rubric.grade(answer.text, sample), {"5": "1.45", "6": "60 degrees"}.get(sample.id, ""))
        for answer, sample in zip(answers, samples, strict=True)
    ]
    assert [len(requests) for _, requests in asked] == [0, 0, 0, 5, 1, 1]
    assert "\n(B) 无法确定\n\nThe answer is (A).\n\nExtracted answer: " in read_words(asked[5][1][0])[0][1]
    verdicts: list[str] = [verdict for verdict, _ in asked]
    verdicts[1] = NoAnswer()
    targets = [sample.target for sample in samples]
    for protocol, right in (("internvl-v1.2", 2), ("internvl-later", 4)):
        metrics = math_answer(protocol)(verdicts, targets).metrics
        assert metrics["accuracy"] == pytest.approx(100 * right / 5)
        assert metrics["accuracy_official"] == metrics["accuracy_strict"] == pytest.approx(100 * right / 6)
        assert [metrics[f"num_{kind}"] for kind in ("direct", "by_judge", "nearest_choice")] == [2, 2, 1]
        assert metrics["accuracy/question_type=multi_choice"] == 100
        assert metrics["coverage"] == pytest.approx(400 / 6)
    benchmark.submission(answers, samples, tmp_path)
    benchmark.review(answers, verdicts, samples, tmp_path)
    records, rows = (
        json.loads((tmp_path / name).read_text(encoding="utf-8"))
        for name in ("submission.json", "mathvista_extractions.json")
    )
    read = {"extraction": "60 degrees", "prediction": "∠ABC = 60°", "true_false": True}
    assert rows["6"] == {**records["6"], **read}
    assert [row["true_false"] for row in rows.values()] == [True, False, False, False, False, True]


def test_test_set_has_no_score_and_a_file_of_records(tmp_path: Path) -> None:
    benchmark = take("mathvista-test")
    samples = benchmark.load(write_mathvista(tmp_path, "test"))
    assert {sample.target for sample in samples} == {None}
    answers = [Prediction(sample.id, "答案是 ½\ud83d") for sample in samples]
    benchmark.submission(answers[::-1], samples, tmp_path)
    rows = json.loads((tmp_path / "submission.json").read_text(encoding="utf-8"))
    assert (list(rows)[:2], rows["6"]["response"], rows["3"]["precision"]) == (["1", "2"], "答案是 ½?", 1.0)
    with pytest.raises(InputError, match="submission: expected an answer to every sample, got none to 1; run it again"):
        benchmark.submission(answers[1:], samples, tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pid": "9"}, r"parquet:1: expected question 9 in .*annot_testmini\.json, got none; get both files again"),
        ({"query": None}, "parquet:1: expected texts as pid, query, question_type, answer_type, got others"),
        ({"answer_type": "number"}, "expected text, integer, float, list as answer_type, got 'number'"),
        ({"choices": []}, "expected choices of a question of that kind, got none"),
        ({"decoded_image": None}, "parquet:1: expected a picture, got NoneType"),
    ],
)
def test_rows_that_do_not_fit_are_named(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    write_mathvista(tmp_path)
    write_table(tmp_path / TABLE, [{**list_rows()[0], **change}])
    with pytest.raises(InputError, match=message):
        take("mathvista-testmini").samples(tmp_path)


def test_files_that_do_not_belong_together_are_named(tmp_path: Path) -> None:
    write_mathvista(tmp_path)
    write_table(tmp_path / TABLE, list_rows()[1:])
    benchmark, answers = take("mathvista-testmini"), tmp_path / FOLDER / "annot_testmini.json"
    with pytest.raises(InputError, match=r"expected the questions of the tables, got 1 beside them; get the data"):
        benchmark.samples(tmp_path)
    for content in ([], {"1": {"pid": "2", "answer": "x"}}, {"1": {"answer": 3}}):
        answers.write_text(json.dumps(content), encoding="utf-8")
        with pytest.raises(InputError, match=r"annot_testmini\.json: expected (an object with|pid 1 and an answer)"):
            benchmark.samples(tmp_path)
    (tmp_path / TABLE).unlink()
    answers.write_text("{}", encoding="utf-8")
    with pytest.raises(MissingError, match=r"data: expected testmini-00000-of-.*, which does not exist"):
        benchmark.samples(tmp_path)
