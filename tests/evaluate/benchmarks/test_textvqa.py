"""TextVQA: prompts against tests/golden/prompts.json, a small set in the official layout, and a score by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from evaluate.__main__ import main
from evaluate.benchmark import Benchmark, find, list_benchmarks
from evaluate.benchmarks.textvqa import PROMPT, TextVQA, read_vqa_targets
from evaluate.report import read_report
from evaluate.sample import Generation, Prediction
from internvl.errors import InputError
from tests.evaluate.questions import write_rows

QUESTIONS, ANNOTATIONS = "data/textvqa/textvqa_val_llava.jsonl", "data/textvqa/textvqa_val_annotations.json"
BENCHMARKS = {"textvqa_val_ocr": "vqa-textvqa-val", "textvqa_val": "vqa-textvqa-val"}
"""Our benchmark for a published data set name."""

TIMES_RED = (2, 0, 1, 3, 10)
"""How many of ten people answered `red`, per question."""

Rows = list[dict[str, Any]]


def list_questions(*texts: str) -> Rows:
    return [
        {"image": f"data/textvqa/{number // 2}.jpg", "question": text, "question_id": 34602 + number}
        for number, text in enumerate(
            texts or [f"Which colour is number {n}?\nReference OCR token: {n}" for n in range(5)]
        )
    ]


def list_annotations(*times_red: int) -> Rows:
    answers = [["red"] * times + [f"word {number}" for number in range(10 - times)] for times in times_red]
    return [
        {
            "image_id": "a",
            "question_id": 34602 + number,
            "question_type": "none of the above",
            "answer_type": "other",
            "answers": [{"answer": text, "answer_id": place} for place, text in enumerate(ten, 1)],
        }
        for number, ten in enumerate(answers)
    ]


def write_set(root: Path, questions: Rows, annotations: Any) -> Path:
    """The two files of the official layout, and empty pictures."""
    write_rows(root / QUESTIONS, questions)
    content = annotations if isinstance(annotations, str) else json.dumps({"annotations": annotations})
    (root / ANNOTATIONS).write_text(content, encoding="utf-8")
    for row in questions:
        (root / str(row["image"])).touch()
    return root


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Five questions."""
    return write_set(tmp_path, list_questions(), list_annotations(*TIMES_RED))


@pytest.fixture
def benchmark() -> Benchmark:
    """As shipped, for any number of samples."""
    return TextVQA("vqa-textvqa-val")


@pytest.mark.golden("prompts", kind="question")
def test_prompt_equals_the_published_one(case: dict[str, Any], tmp_path: Path) -> None:
    name = BENCHMARKS.get(case["input"].get("dataset", ""))
    if name not in list_benchmarks():
        pytest.skip("benchmark not implemented yet")
    [benchmark] = find(name)
    [sample] = benchmark.samples(
        write_set(tmp_path, list_questions(case["input"]["record"]["question"]), list_annotations(10))
    )
    [turn] = sample.prompt.turns
    assert turn.text == "<image>\n" + case["expected"]["question"]


def test_sample_holds_picture_answers_and_published_id(root: Path, benchmark: Benchmark) -> None:
    sample = benchmark.load(root)[3]
    assert (sample.id, sample.info) == ("34605", {"question_id": 34605})
    assert sample.prompt.images == (root / "data/textvqa/1.jpg",)
    assert sample.target.answers == ("red",) * 3 + tuple(f"word {number}" for number in range(7))
    assert (sample.target.question_type, sample.target.answer_type) == ("none of the above", "other")
    assert sample.target.annotators == ()


def test_text_ids_and_missing_types_are_read(tmp_path: Path) -> None:
    rows = list_annotations(10)
    rows[0]["question_id"] = "34602"
    del rows[0]["question_type"], rows[0]["answer_type"]
    file = tmp_path / "annotations.json"
    file.write_text(json.dumps({"annotations": rows, "info": {}}))
    [(key, target)] = read_vqa_targets(file).items()
    assert (key, target.question_type, target.answer_type) == ("34602", "", "")


def test_published_size_and_settings_are_named() -> None:
    [benchmark] = find("vqa-textvqa-val")
    assert benchmark.size == 5000
    assert benchmark.generation == Generation(max_new_tokens=10, num_beams=1, temperature=0.0)
    assert (benchmark.protocol, benchmark.groups) == ("internvl-v1.2", ("vqa",))


def test_question_without_annotation_is_named(root: Path, benchmark: Benchmark) -> None:
    write_set(root, list_questions(), list_annotations(1, 2, 3))
    with pytest.raises(InputError, match=r"llava\.jsonl:4: expected question 34605 in .*annotations\.json, got none"):
        benchmark.load(root)


@pytest.mark.parametrize("count", [0, 9, 11])
def test_other_number_of_answers_than_ten_is_named(root: Path, benchmark: Benchmark, count: int) -> None:
    rows = list_annotations(*TIMES_RED)
    rows[2]["answers"] = [{"answer": "red"}] * count
    write_set(root, list_questions(), rows)
    with pytest.raises(InputError, match=rf"expected ten answers for question 34604, got {count}; get the file"):
        benchmark.load(root)


@pytest.mark.parametrize("end", ["", "\n", " "])
def test_question_that_already_ends_with_the_prompt_is_named(root: Path, benchmark: Benchmark, end: str) -> None:
    write_set(root, list_questions("What?", f"What? {PROMPT}{end}"), list_annotations(1, 2))
    with pytest.raises(InputError, match=r"llava\.jsonl:2: expected a question without the prompt.*remove it"):
        benchmark.load(root)


@pytest.mark.parametrize(
    "content",
    ['{"annotations": [', "[]", "{}", '{"annotations": {}}', '{"annotations": null}'],
    ids=["cut", "list", "no key", "object", "null"],
)
def test_annotations_of_another_layout_are_named(root: Path, benchmark: Benchmark, content: str) -> None:
    write_set(root, list_questions(), content)
    with pytest.raises(InputError, match=r"textvqa_val_annotations\.json: expected .*get the file again$") as caught:
        benchmark.load(root)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "row",
    [
        {"answers": [{"answer": "red"}] * 10},
        {"question_id": 1},
        {"question_id": 1, "answers": None},
        {"question_id": 1, "answers": ["red"] * 10},
        {"question_id": 1, "answers": [{"raw": "red"}] * 10},
        "text",
        None,
    ],
    ids=["no id", "no answers", "null", "texts", "no answer", "text", "nothing"],
)
def test_annotation_of_another_layout_is_named_by_its_number(root: Path, benchmark: Benchmark, row: Any) -> None:
    write_set(root, list_questions(), [*list_annotations(1), row])
    with pytest.raises(InputError, match=r"expected `question_id` and `answers` in annotation 2, got .*; get"):
        benchmark.load(root)


@pytest.mark.parametrize("change", [{"question": None}, {"question": ["What?"]}, {"image": None}])
def test_question_of_another_layout_is_named(root: Path, benchmark: Benchmark, change: dict[str, Any]) -> None:
    rows = list_questions()
    write_rows(root / QUESTIONS, [rows[0], {**rows[1], **change}])
    with pytest.raises(InputError, match=r"llava\.jsonl:2: expected texts as question and image, got others"):
        benchmark.load(root)


def test_cut_line_of_questions_is_named(root: Path, benchmark: Benchmark) -> None:
    file = root / QUESTIONS
    file.write_text(file.read_text()[:-20])
    with pytest.raises(InputError, match=r"llava\.jsonl:5: expected JSON"):
        benchmark.load(root)


def test_fake_answers_score_as_computed_by_hand(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["fake:Red.", "vqa-textvqa-val", "--root", str(root), "--output", str(tmp_path / "out"), "--devices", "1"]
    assert main(command) == 2
    assert "expected 5000 samples, got 5" in capsys.readouterr().err
    assert main([*command, "--allow-size"]) == 0
    folder = tmp_path / "out" / "fake_Red." / "vqa-textvqa-val"
    report = read_report(folder)
    # Over the annotators, in turn left out: 2 red: (2 * 1/3 + 8 * 2/3) / 10; 1: 9 * 1/3 / 10; 3: (3 * 2/3 + 7) / 10.
    by_hand = [0.6, 0.0, 0.3, 0.9, 1.0]
    assert report["score"] == pytest.approx(100 * sum(by_hand) / 5)
    records = [json.loads(line) for line in (folder / "samples.jsonl").read_text().splitlines()]
    assert [record["score"] for record in records] == pytest.approx(by_hand)
    assert report["metrics"]["accuracy/answer_type=other"] == report["score"]
    assert "vqa-textvqa-val: accuracy 56.00 [" in capsys.readouterr().out
    submission = json.loads((folder / "submission.json").read_text())
    assert [row["question_id"] for row in submission] == [34602, 34603, 34604, 34605, 34606]


def test_submission_holds_the_prompt_the_id_and_the_answer(root: Path, benchmark: Benchmark, tmp_path: Path) -> None:
    samples = benchmark.load(root)[:2]
    benchmark.submission([Prediction("34603", "Café\n"), Prediction("34602", "", "gone")], samples, tmp_path)
    assert json.loads((tmp_path / "submission.json").read_text(encoding="utf-8")) == [
        {
            "question": f"Which colour is number 1?\nReference OCR token: 1 {PROMPT}",
            "question_id": 34603,
            "answer": "Café\n",
        },
        {"question": f"Which colour is number 0?\nReference OCR token: 0 {PROMPT}", "question_id": 34602, "answer": ""},
    ]
