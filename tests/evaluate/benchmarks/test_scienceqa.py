"""ScienceQA: prompts against tests/golden/prompts.json, a small set in the official layout, and a score by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from evaluate.benchmarks.scienceqa import BENCHMARKS, ScienceQA
from evaluate.demo.files import write_rows
from evaluate.demo.scienceqa import QUESTIONS, list_rows, write_scienceqa
from evaluate.report import read_report
from evaluate.score_command import main
from internvl.errors import InputError


@pytest.mark.golden("prompts")
def test_prompts_equal_the_published_ones(family: dict[str, Any], tmp_path: Path) -> None:
    for case in [case for case in family["cases"] if case["input"].get("benchmark") == "scienceqa"]:
        write_rows(tmp_path / QUESTIONS, [{"image": "a.png", **case["input"]["record"]}])
        for benchmark, key in zip(BENCHMARKS, ("question", "later_question"), strict=True):
            [sample] = benchmark.samples(tmp_path)
            assert sample.prompt.turns[-1].text == "<image>\n" + case["expected"][key]
            assert sample.target.answer == case["expected"]["gold"]
            assert sample.target.options == case["expected"]["options"]


def test_answers_score_as_computed_by_hand_under_both_protocols(tmp_path: Path) -> None:
    samples = ScienceQA("scienceqa").load(write_scienceqa(tmp_path))
    texts = ["A", "(B)", "Vermont", "It is Vermont.", "", "New Mexico"]
    rows = [{"id": sample.id, "text": text} for sample, text in zip(samples, texts, strict=True)]
    write_rows(tmp_path / "mine.jsonl", rows)
    # Right are A, B, A, B, A, B; the last question has no New Mexico among its options.
    for name, value, unparsed in (("scienceqa", 2, 3), ("scienceqa-later", 3, 2)):
        command = [str(tmp_path / "mine.jsonl"), "--benchmark", name, "--root", str(tmp_path), "--allow-size"]
        assert main([*command, "--output", str(tmp_path / "out")]) == 0
        report = read_report(tmp_path / "out" / "mine" / name)
        assert (report["score"], report["num_unparsed"]) == (pytest.approx(100 * value / 6), unparsed)


@pytest.mark.parametrize(
    "change",
    [
        *({"choices": []}, {"choices": [*"abcdef"]}, {"choices": "ab"}, {"choices": ["x", None]}),
        *({"answer": 2}, {"answer": -1}, {"answer": "A"}, {"answer": True}, {"hint": None}, {"image": None}),
    ],
    ids=str,
)
def test_question_of_another_layout_is_named(tmp_path: Path, change: dict[str, Any]) -> None:
    rows = list_rows(2)
    write_rows(tmp_path / QUESTIONS, [rows[0], {**rows[0], **change}])
    with pytest.raises(InputError, match=r"test_img\.jsonl:2: expected texts as image, question and hint, one to five"):
        ScienceQA("scienceqa").load(tmp_path)
