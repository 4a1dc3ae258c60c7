"""OK-VQA: a small set in the published layout."""

from __future__ import annotations

from pathlib import Path

from evaluate.benchmark import find
from tests.evaluate.outcome import answer_all


def test_cleaned_answers_count_and_not_the_raw_ones(tmp_path: Path) -> None:
    outcome = answer_all("vqa-okvqa-val", tmp_path, _0="Raw")
    assert outcome.metrics["accuracy"] == 80
    assert "Raw" not in outcome.samples[0].target.answers


def test_published_size_and_group_are_named() -> None:
    [benchmark] = find("vqa-okvqa-val")
    assert (benchmark.size, benchmark.protocol, benchmark.groups) == (5046, "internvl-v1.2", ("vqa",))
