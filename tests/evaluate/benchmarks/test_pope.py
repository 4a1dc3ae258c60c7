"""POPE: prompts against tests/golden/prompts.json, a small set in the official layout, and a score by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from evaluate.benchmarks.pope import BENCHMARKS, Pope
from evaluate.demo.files import write_rows
from evaluate.demo.pope import QUESTIONS, label_file, list_labels, list_questions, write_pope
from evaluate.report import read_report
from evaluate.sample import Generation, Prediction
from evaluate.score_command import main
from internvl.errors import InputError


@pytest.mark.golden("prompts")
def test_prompts_equal_the_published_ones(family: dict[str, Any], tmp_path: Path) -> None:
    write_pope(tmp_path)
    for case in [case for case in family["cases"] if case["input"].get("benchmark") == "pope"]:
        text = case["input"]["record"]["text"]
        for category in ("adversarial", "popular", "random"):
            write_rows(
                tmp_path / label_file(category), [{"image": "1.jpg", "text": text.split("\n")[0], "label": "no"}]
            )
        rows = [{**row, "image": "1.jpg", "text": text} for row in list_questions(1)[::2]]
        write_rows(tmp_path / QUESTIONS, rows)
        for benchmark, key in zip(BENCHMARKS, ("question", "later_question"), strict=True):
            asked = [sample.prompt.turns[-1].text for sample in benchmark.samples(tmp_path)]
            assert asked == ["<image>\n" + case["expected"][key]] * 3


def test_samples_are_joined_by_picture_and_question(tmp_path: Path) -> None:
    write_pope(tmp_path)
    for category in ("popular", "random"):
        write_rows(tmp_path / label_file(category), list_labels(category)[::-1])
    samples = Pope("pope").load(tmp_path)
    assert [sample.target.positive for sample in samples] == [True, False] * 9
    assert [samples[0].id, samples[7].id] == ["adversarial/1", "popular/2"]
    assert len({sample.cluster for sample in samples}) == 3
    assert [(b.size, b.generation, b.protocol) for b in BENCHMARKS] == [
        (8910, Generation(max_new_tokens=100), protocol) for protocol in ("internvl-v1.2", "internvl-later")
    ]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (list_labels("random")[:-1], r"llava_pope_test\.jsonl:18: expected a label for .*café.* got none"),
        ([*list_labels("random"), {"image": "x", "text": "y", "label": "no"}], "expected 7 random questions.* got 6"),
        (
            [*list_labels("random"), {**list_labels("random")[0], "label": "no"}],
            "random.json:7: expected one label per",
        ),
        ([{**list_labels("random")[0], "label": "Yes"}], "random.json:1: expected yes or no as label, got 'Yes'"),
        ([{"image": "x", "text": "y"}], "random.json:1: expected the keys image, text, label, got no label"),
    ],
    ids=["missing", "more", "both", "spelling", "key"],
)
def test_labels_that_do_not_fit_are_named(tmp_path: Path, labels: list[dict[str, Any]], message: str) -> None:
    write_rows(write_pope(tmp_path) / label_file("random"), labels)
    with pytest.raises(InputError, match=message):
        Pope("pope").load(tmp_path)


def test_questions_that_do_not_fit_are_named(tmp_path: Path) -> None:
    rows = list_questions()
    write_rows(write_pope(tmp_path) / QUESTIONS, [*rows[:2], {**rows[2], "text": None}])
    with pytest.raises(InputError, match=r"jsonl:3: expected texts as image, text and category, got others"):
        Pope("pope").load(tmp_path)
    write_rows(tmp_path / QUESTIONS, [rows[0], *rows[:1], *rows[2:]])
    with pytest.raises(InputError, match="expected unique ids, got 'adversarial/1' twice"):
        Pope("pope").load(tmp_path)


def test_fake_answers_score_as_computed_by_hand(tmp_path: Path) -> None:
    samples = Pope("pope").load(write_pope(tmp_path))
    write_rows(tmp_path / "all yes.jsonl", [{"id": sample.id, "text": "Yes"} for sample in samples])
    command = [str(tmp_path / "all yes.jsonl"), "--benchmark", "pope", "--root", str(tmp_path)]
    assert main([*command, "--output", str(tmp_path / "out"), "--allow-size"]) == 0
    folder = tmp_path / "out" / "all yes" / "pope"
    report = read_report(folder)
    # Half of the questions are positive: precision 1/2, recall 1.
    assert report["score"] == pytest.approx(100 * 2 / 3)
    assert (report["metrics"]["yes_ratio"], report["metrics"]["accuracy/popular"]) == (1.0, 50.0)
    assert report["interval"] == pytest.approx([report["score"]] * 2)
    rows = json.loads((folder / "submission.json").read_text())
    assert [row["question_id"] for row in rows] == [1, 2, 3, 4, 5, 6] * 3


def test_submission_keeps_the_order_of_the_questions(tmp_path: Path) -> None:
    benchmark = Pope("pope")
    samples = benchmark.load(write_pope(tmp_path))
    benchmark.submission([Prediction(sample.id, f"答 {sample.id}") for sample in samples[::-1]], samples, tmp_path)
    rows = json.loads((tmp_path / "submission.json").read_text(encoding="utf-8"))
    assert rows[1] == {"question_id": 2, "text": "答 adversarial/2", "model_id": "", "metadata": {}}


def test_labels_of_another_commit_are_refused_at_the_published_size(tmp_path: Path) -> None:
    counts = {"adversarial": 3000, "popular": 2910, "random": 3000}
    rows = {
        category: [
            {"question_id": n, "image": "a.jpg", "text": f"Is there a {n}?", "label": "no"} for n in range(count)
        ]
        for category, count in counts.items()
    }
    for category, labels in rows.items():
        write_rows(tmp_path / label_file(category), labels)
    asked = [{**row, "category": category} for category, labels in rows.items() for row in labels]
    write_rows(tmp_path / QUESTIONS, asked)
    with pytest.raises(InputError, match=r"2910 random labels, got 3000 adversarial, 2910 popular, 3000 random; get"):
        Pope("pope").samples(tmp_path)
