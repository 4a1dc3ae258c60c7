"""DocVQA and InfographicVQA: a line per entry, with the picture where the archives put it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.evaluate.originals import load, read_lines, refuse, show, write

INFO = "data/infographicsvqa"


def list_data(**more: Any) -> dict[str, Any]:
    rows = [{"questionId": 49_153 + n, "question": f"What is {n}?", "docId": n, **more} for n in range(2)]
    return {"dataset_name": "docVQA", "dataset_split": "val", "data": rows}


def test_documents_have_all_answers(tmp_path: Path) -> None:
    content = list_data(image="documents/ab_1.png", answers=["12", "twelve"], ucsf_document_id="ab")
    write(tmp_path, "data/docvqa/val/val_v1.0.json", content)
    samples = load(tmp_path, "vqa-docvqa-val")
    assert samples[0].prompt.images == (tmp_path / "data/docvqa/val/documents/ab_1.png",)
    assert show(samples[1])[1] == "What is 1? Answer the question using a single word or phrase."
    assert (samples[1].target.answers, samples[1].info["annotation"]) == (("12", "twelve"), ["12", "twelve"])


def test_infographics_have_names_of_their_own(tmp_path: Path) -> None:
    content = list_data(image_local_name="37313.jpeg", answers=["5%"], answer_type=["single span"], evidence=["map"])
    write(tmp_path, f"{INFO}/infographicsVQA_val_v1.0_withQT.json", content)
    samples = load(tmp_path, "vqa-infovqa-val")
    assert samples[0].prompt.images == (tmp_path / INFO / "infographicsvqa_images/37313.jpeg",)
    assert samples[0].target.answers == ("5%",)


def test_test_sets_have_no_answers(tmp_path: Path) -> None:
    write(tmp_path, "data/docvqa/test/test_v1.0.json", list_data(image="documents/ab_1.png"))
    write(tmp_path, f"{INFO}/infographicsVQA_test_v1.0.json", list_data(image_local_name="1.jpeg"))
    for name, file in (("vqa-docvqa-test", "data/docvqa/test.jsonl"), ("vqa-infovqa-test", f"{INFO}/test.jsonl")):
        assert [sample.info["question_id"] for sample in load(tmp_path, name)] == [49_153, 49_154]
        assert read_lines(tmp_path, file)[0].keys() == {"image", "question", "question_id"}


def test_entries_without_answers_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = "data/docvqa/val/val_v1.0.json"
    write(tmp_path, file, list_data(image="documents/ab_1.png"))
    told = refuse(tmp_path, "vqa-docvqa-val", capsys)
    assert (
        told == f"error: {file}: data 1: expected a list of texts as `answers`, got no `answers`; get the file again\n"
    )
