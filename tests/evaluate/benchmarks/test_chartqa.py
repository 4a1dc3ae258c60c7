"""ChartQA: a small set in the published layout."""

from __future__ import annotations

from pathlib import Path

from evaluate.benchmark import find
from tests.evaluate.outcome import answer_all


def test_both_rules_are_told_and_texts_numbers_and_lists_are_right(tmp_path: Path) -> None:
    outcome = answer_all("vqa-chartqa-test-human", tmp_path, _0="14.73")
    # 14 is 4.96 % of 14.73 away, and 5.2 % of 14.
    assert outcome.metrics == {"relaxed_accuracy": 100, "relaxed_accuracy@official": 80}
    assert [sample.target for sample in outcome.samples[1:4]] == [("0.5%",), ("2008",), ("Blue", "blue line")]
    assert outcome.samples[0].prompt.images == (tmp_path / "data/chartqa/ChartQA Dataset/test/png/0.png",)
    assert outcome.rows[-3] == {
        "question": "¿Qué es?\nY ahora? Answer the question using a single word or phrase.",
        "answer": "2000",
        "annotation": 2008,
    }


def test_group_runs_both_halves() -> None:
    halves = find("vqa-chartqa-test")
    assert [half.name for half in halves] == ["vqa-chartqa-test-human", "vqa-chartqa-test-augmented"]
    assert {(half.size, half.generation.max_new_tokens) for half in halves} == {(1250, 100)}
