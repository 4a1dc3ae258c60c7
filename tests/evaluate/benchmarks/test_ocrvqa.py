"""OCR-VQA: a small set in the published layout."""

from __future__ import annotations

from pathlib import Path

from evaluate.benchmark import find
from tests.evaluate.outcome import answer_all


def test_upper_case_and_white_space_are_forgiven(tmp_path: Path) -> None:
    outcome = answer_all("vqa-ocrvqa-test", tmp_path, _0="red.")
    assert outcome.metrics == {"accuracy": 80}
    assert outcome.rows[-2:] == [
        {"question": " Answer the question using a single word or phrase.", "answer": " 2\n", "annotation": "2"},
        {
            "question": "What color is the car? Answer the question using a single word or phrase.",
            "answer": "red.",
            "annotation": "red",
        },
    ]


def test_both_splits_have_the_published_settings() -> None:
    found = find("vqa-ocrvqa-val,vqa-ocrvqa-test")
    assert {(b.generation.max_new_tokens, b.protocol, b.groups) for b in found} == {(100, "internvl-v1.2", ())}
