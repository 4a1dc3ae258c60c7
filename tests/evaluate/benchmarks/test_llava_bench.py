"""LLaVA-Bench: prompts against tests/golden/prompts.json, three files joined by name, and the published files."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evaluate.benchmarks.llava_bench import BENCHMARKS, LlavaBench
from evaluate.demo.files import write_rows
from evaluate.demo.llava_bench import FOLDER, list_questions, list_references, write_llava_bench
from evaluate.jsonl import read_rows
from evaluate.judging import Verdict
from evaluate.rubrics.llava_review import LlavaReview
from evaluate.sample import Prediction
from internvl.errors import InputError
from tests.evaluate.verdicts import drive, read_words

SMALL = replace(BENCHMARKS[0], size=None)


@pytest.mark.golden("prompts")
def test_prompts_equal_the_published_ones(family: dict[str, Any], tmp_path: Path) -> None:
    write_llava_bench(tmp_path, 1)
    for case in [case for case in family["cases"] if case["input"].get("benchmark") == "llava_bench"]:
        record = case["input"]["record"]
        write_rows(tmp_path / FOLDER / "questions.jsonl", [{**list_questions(1)[0], "text": record["text"]}])
        sample = SMALL.load(tmp_path)[0]
        assert sample.prompt.turns[-1].text == "<image>\n" + case["expected"]["question"]
        assert sample.target.question == record["text"]


def test_answers_are_judged_scored_and_written_as_published(tmp_path: Path) -> None:
    samples = SMALL.load(write_llava_bench(tmp_path))
    assert [sample.id for sample in samples] == list("012345")
    assert samples[3].target.reference == "A reference about 3.\nIt has two lines."
    assert samples[3].target.context == "A view of 002.jpg, été."
    assert samples[3].prompt.images == (tmp_path / FOLDER / "images" / "002.jpg",)
    rubric, scorer = SMALL.rubric(), SMALL.scorer()
    predictions = [Prediction(sample.id, f"Answer {sample.id}\nü") for sample in samples]
    replies = ["8 6", "10 9\nwhy", "8,4", "8 8", "8 8", "eight of ten"]
    asked = [drive(rubric.grade(p.text, s), r) for p, s, r in zip(predictions, samples, replies, strict=True)]
    verdicts = [verdict for verdict, _ in asked]
    assert "[Assistant 2]\nAnswer 3\nü\n\n[End of Assistant 2]" in read_words(asked[3][1][0])[1][1]
    metrics = scorer(verdicts, [sample.target for sample in samples]).metrics
    assert metrics["score"] == pytest.approx(100 * 35 / 42)
    assert metrics["coverage"] == pytest.approx(500 / 6)
    folder = tmp_path / "results" / "mine" / "llava-bench"
    folder.mkdir(parents=True)
    SMALL.submission(predictions, samples, folder)
    SMALL.review(predictions, verdicts, samples, folder)
    results = [row for _, row in read_rows(folder / "llava_bench_results.jsonl")]
    assert results[5] == {"question_id": 5, "text": "Answer 5\nü", "model_id": "mine", "metadata": {}}
    reviews = [row for _, row in read_rows(folder / "llava_bench_results_review.jsonl")]
    assert reviews[1] == {
        "id": 2,
        "question_id": 1,
        "answer1_id": "ref1",
        "answer2_id": 1,
        "category": "llava_bench_detail",
        "content": "10 9\nwhy",
        "tuple": [10, 9],
    }
    assert reviews[5]["tuple"] == [-1, -1]


def test_half_of_a_character_does_not_stop_the_files(tmp_path: Path) -> None:
    samples = SMALL.load(write_llava_bench(tmp_path, 1))
    SMALL.submission([Prediction("0", "a \ud83d")], samples, tmp_path)
    SMALL.review([Prediction("0", "a \ud83d")], [Verdict("8 9 \ud83d", "parse_error")], samples, tmp_path)
    assert json.loads((tmp_path / "llava_bench_results.jsonl").read_text(encoding="utf-8"))["text"] == "a ?"


@pytest.mark.parametrize(
    ("name", "rows", "message"),
    [
        ("answers_gpt4", list_references()[1:], r"answers_gpt4\.jsonl: expected 5 of .*questions\.jsonl:6, got none"),
        ("answers_gpt4", list_references() * 2, r"answers_gpt4\.jsonl:7: expected a question_id of its own, got 5;"),
        ("questions", list_questions(5), r"answers_gpt4\.jsonl: expected the questions of .*, got 5 beside them;"),
        ("context", [{"image": "001.jpg", "caption": "x"}] * 2, r"jsonl:2: expected each picture once, got 001\.jpg"),
        ("context", [{"image": "001.jpg", "caption": "x"}], r"context\.jsonl: expected '002\.jpg' of .*jsonl:3, got"),
        ("context", [{"image": "001.jpg", "caption": 3}], r"context\.jsonl:1: expected a text or texts as caption"),
        (
            "questions",
            [{**list_questions(1)[0], "category": "chat"}],
            "a category of conv, detail, complex, got 'chat'",
        ),
        ("questions", [{"question_id": 0}], r"questions\.jsonl:1: expected the keys .* got no image"),
    ],
)
def test_files_that_do_not_fit_are_named(tmp_path: Path, name: str, rows: list[Any], message: str) -> None:
    write_llava_bench(tmp_path)
    write_rows(tmp_path / FOLDER / f"{name}.jsonl", rows)
    with pytest.raises(InputError, match=message):
        SMALL.load(tmp_path)


def test_several_captions_are_lines_and_asking_again_is_an_option(tmp_path: Path) -> None:
    write_llava_bench(tmp_path, 1)
    write_rows(tmp_path / FOLDER / "context.jsonl", [{"image": "001.jpg", "captions": ["one", "two"]}])
    assert SMALL.load(tmp_path)[0].target.context == "one\ntwo"
    assert LlavaBench("mine", further=2).rubric() == LlavaReview(further=2)
    with pytest.raises(InputError, match="expected 60 samples, got 1"):
        BENCHMARKS[0].load(tmp_path)
