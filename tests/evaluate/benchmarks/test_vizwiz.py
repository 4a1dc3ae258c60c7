"""VizWiz: a small set in the published layout, and the file that the server takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from evaluate.benchmark import find
from evaluate.demo.vqa import WRITERS
from internvl.errors import InputError
from tests.evaluate.outcome import answer_all


def test_answers_are_scored_per_type(tmp_path: Path) -> None:
    outcome = answer_all("vqa-vizwiz-val", tmp_path, _0="Unanswerable")
    assert outcome.metrics["accuracy"] == outcome.metrics["accuracy/answer_type=unanswerable"] == 80


def test_upload_names_pictures_without_their_folder(tmp_path: Path) -> None:
    outcome = answer_all("vqa-vizwiz-test", tmp_path, _0="Café\n")
    assert outcome.scores is None
    assert outcome.samples[0].id == "data/vizwiz/test/VizWiz_test_00000000.jpg"
    assert outcome.rows[-2:] == [
        {"image": "VizWiz_test_00000001.jpg", "answer": "Unanswerable"},
        {"image": "VizWiz_test_00000000.jpg", "answer": "Café\n"},
    ]


def test_id_that_is_no_path_is_named(tmp_path: Path) -> None:
    WRITERS["vqa-vizwiz-test"](tmp_path)
    path = tmp_path / "data/vizwiz/vizwiz_test.jsonl"
    path.write_text(
        path.read_text().replace('"question_id": "data/vizwiz/test/VizWiz_test_00000002.jpg"', '"question_id": 2')
    )
    [benchmark] = find("vqa-vizwiz-test")
    with pytest.raises(InputError, match=r"test\.jsonl:3: expected the path of the picture as question_id, got 2; get"):
        benchmark.samples(tmp_path)


def test_published_sizes_and_group_are_named() -> None:
    val, test = find("vqa-vizwiz-val,vqa-vizwiz-test")
    assert (val.size, val.groups, test.size, test.groups) == (4319, ("vqa",), 8000, ())
