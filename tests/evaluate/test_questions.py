"""Question files: prompts against tests/golden/prompts.json, rows of the layout, and rows of another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from evaluate.benchmark import find
from evaluate.demo.files import write_rows
from evaluate.demo.vqa import WRITERS
from evaluate.questions import PROMPT, Question, read_questions, read_samples, show_question
from evaluate.sample import Prediction
from evaluate.submission import pair
from internvl.errors import InputError

BENCHMARKS = {
    **{
        f"{name}_{split}": f"vqa-{name}-{split}" for name in ("vqav2", "vizwiz") for split in ("val", "testdev", "test")
    },
    **{f"{name}_{split}": f"vqa-{name}-{split}" for name in ("docvqa", "ocrvqa") for split in ("val", "test")},
    **{f"infographicsvqa_{split}": f"vqa-infovqa-{split}" for split in ("val", "test")},
    **{f"chartqa_test_{half}": f"vqa-chartqa-test-{half}" for half in ("human", "augmented")},
    **dict.fromkeys(("gqa_testdev", "gqa_testdev_llava"), "vqa-gqa-testdev"),
    "okvqa_val": "vqa-okvqa-val",
    "textvqa_val": "vqa-textvqa-val-later",
    "textvqa_val_ocr": "vqa-textvqa-val",
    "ai2diagram_test": "vqa-ai2d-test",
}
"""Our benchmark for a published data set."""
LATER = {"textvqa_val_ocr": "vqa-textvqa-val-ocr", "ai2diagram_test": "vqa-ai2d-test-later"}
"""Where the repository of 2025 has another one."""


def ask(name: str, root: Path, text: str) -> str:
    """What the model is asked."""
    WRITERS[name](root, [text])
    [benchmark] = find(name)
    [sample] = benchmark.samples(root)
    [turn] = sample.prompt.turns
    return turn.text


@pytest.mark.golden("prompts", kind="question")
def test_prompt_equals_the_published_one(case: dict[str, Any], tmp_path: Path) -> None:
    name, text = case["input"].get("dataset", ""), case["input"]["record"].get("question")
    if case["input"]["benchmark"] != "vqa":
        pytest.skip("a prompt of another family")
    assert ask(BENCHMARKS[name], tmp_path, text) == "<image>\n" + case["expected"]["question"]
    later = LATER.get(name, BENCHMARKS[name])
    assert ask(later, tmp_path, text) == "<image>\n" + case["expected"]["later_question"]


def write(root: Path, *rows: dict[str, Any]) -> Path:
    base = {"image": "a.jpg", "question": "What?", "question_id": 1}
    write_rows(root / "q.jsonl", [{**base, **row} for row in rows])
    return root / "q.jsonl"


def test_lines_become_questions_with_file_and_line(tmp_path: Path) -> None:
    path = write(tmp_path, {}, {"question_id": "02", "answer": ["x", 2, 0.5]})
    first, second = read_questions(path)
    assert first == Question(f"{path}:1", 1, "What?", "a.jpg")
    assert (second.where, second.id, second.answers) == (f"{path}:2", "02", ("x", "2", "0.5"))


def test_samples_keep_the_published_id_and_the_annotation(tmp_path: Path) -> None:
    path = write(tmp_path, {"answer": "red"})
    [sample] = read_samples(path, tmp_path, lambda question: question.answers, annotated=True)
    assert (sample.id, sample.target, sample.info) == ("1", ("red",), {"question_id": 1, "annotation": "red"})
    assert sample.prompt.images == (tmp_path / "a.jpg",)
    assert show_question(sample) == f"What? {PROMPT}"
    [sample] = read_samples(path, tmp_path, lambda question: None, prompt="")
    assert (show_question(sample), sample.target, sample.info) == ("What?", None, {"question_id": 1})
    assert pair([Prediction("1", "x")], [sample]) == [(Prediction("1", "x"), sample)]


@pytest.mark.parametrize(
    ("row", "numbered", "message"),
    [
        ({"question": None}, False, "expected texts as question and image, got others"),
        ({"question": ["What?"]}, False, "expected texts as question and image, got others"),
        ({"image": 3}, False, "expected texts as question and image, got others"),
        ({"question_id": None}, False, "expected a whole number or a text as question_id, got None"),
        ({"question_id": True}, True, "expected a whole number as question_id, got True"),
        ({"question_id": "7"}, True, "expected a whole number as question_id, got '7'"),
    ],
)
def test_row_of_another_layout_is_named(tmp_path: Path, row: dict[str, Any], numbered: bool, message: str) -> None:
    path = write(tmp_path, {}, row)
    with pytest.raises(InputError, match=rf"q\.jsonl:2: {message}; get the file again"):
        list(read_questions(path, numbered=numbered))


@pytest.mark.parametrize("answer", [None, [], {"a": 1}, [["a"]], True])
def test_answer_that_is_none_is_named(tmp_path: Path, answer: Any) -> None:
    [question] = read_questions(write(tmp_path, {"answer": answer}))
    with pytest.raises(InputError, match=r"q\.jsonl:1: expected a text or a list of texts as answer, got .*; get"):
        _ = question.answers


def test_bytes_that_are_no_text_are_named(tmp_path: Path) -> None:
    path = write(tmp_path, {})
    path.write_bytes(path.read_bytes() + '{"image": "é"}'.encode("latin-1"))
    with pytest.raises(InputError, match=r"q\.jsonl:2: expected JSON"):
        list(read_questions(path))


@pytest.mark.parametrize("end", ["", "\n", " "])
def test_question_that_has_the_prompt_already_is_asked_as_published_and_noted(
    tmp_path: Path, end: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path, {}, {"question": f"What? {PROMPT}{end}"}, {"question": f"Why? {PROMPT}"})
    samples = read_samples(path, tmp_path, lambda question: None)
    assert show_question(samples[1]) == f"What? {PROMPT}{end} {PROMPT}"
    errors = capsys.readouterr().err
    assert errors.startswith(f"note: {path}:2: 2 of 3 questions end with the prompt already; the model reads it twice")
    read_samples(path, tmp_path, lambda question: None, prompt="")
    assert capsys.readouterr().err == ""


def test_other_processes_do_not_repeat_the_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in (("RANK", "1"), ("WORLD_SIZE", "2"), ("LOCAL_RANK", "1"), ("EVALUATE_LAUNCH", "a")):
        monkeypatch.setenv(name, value)
    read_samples(write(tmp_path, {"question": PROMPT}), tmp_path, lambda question: None)
    assert capsys.readouterr().err == ""
