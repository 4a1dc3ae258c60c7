"""RefCOCO: prompts against tests/golden/prompts.json, a small set in the official layout, and a score by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from evaluate.__main__ import main
from evaluate.benchmark import find
from evaluate.benchmarks.refcoco import SIZES, RefCOCO
from evaluate.demo.refcoco import ANSWERS, list_phrases, write_refcoco
from evaluate.metric import ScorerMetric
from evaluate.report import read_report
from evaluate.sample import Generation, Prediction
from evaluate.scorers.box_iou import BoxTarget
from internvl.errors import InputError

NAME = "refcoco+-testA"


@pytest.mark.golden("prompts")
def test_prompts_equal_the_published_ones(family: dict[str, Any], tmp_path: Path) -> None:
    cases = [case for case in family["cases"] if case["input"].get("benchmark") == "refcoco"]
    rows = [{**list_phrases()[0], "sent": case["input"]["record"]["sent"]} for case in cases]
    samples = RefCOCO(NAME, file="refcoco+_testA").samples(write_refcoco(tmp_path, rows=rows))
    expected = ["<image>\n" + case["expected"]["question"] for case in cases]
    assert [sample.prompt.turns[0].text for sample in samples] == expected


def test_group_has_all_splits_and_every_split_has_a_name() -> None:
    names = [benchmark.name for benchmark in find("refcoco")]
    assert names == [split.replace("_", "-") for split in SIZES]
    assert [benchmark.name for benchmark in find("refcoco-testA,refcocog-test")] == ["refcoco-testA", "refcocog-test"]
    [benchmark] = find(NAME)
    assert (benchmark.size, benchmark.files) == (5726, ("data/refcoco/refcoco+_testA.jsonl",))
    assert (benchmark.protocol, benchmark.generation) == ("internvl-v1.2", Generation(max_new_tokens=100))
    assert "/refcoco%2B/refcoco%2B_testA.jsonl" in benchmark.preparation[-1]


def test_run_scores_as_by_hand_and_writes_the_published_file(tmp_path: Path) -> None:
    root, output = write_refcoco(tmp_path), tmp_path / "out"
    fake = "fake:<ref>it</ref><box>[[100, 200, 300, 400]]</box>"
    assert main([fake, NAME, "--root", str(root), "--output", str(output), "--devices", "1", "--allow-size"]) == 0
    [folder] = output.glob(f"*/{NAME}")
    report = read_report(folder)
    assert (report["score"], report["num_unparsed"]) == (100.0, 0)
    assert json.loads((folder / "submission.json").read_text())[3] == {
        "answer": "<ref>it</ref><box>[[100, 200, 300, 400]]</box>",
        "gt_bbox": [64.0, 96, 192.0, 192.0],
        "hw": [480, 640],
    }


def test_answers_of_the_small_set_score_as_by_hand_also_through_the_metric(tmp_path: Path) -> None:
    benchmark = RefCOCO(NAME, file="refcoco+_testA")
    samples = benchmark.load(write_refcoco(tmp_path))
    scorer, targets = benchmark.scorer(), [sample.target for sample in samples]
    scores = scorer(ANSWERS, targets)
    assert (scores.samples, scores.num_unparsed) == ((1.0, 0.0, 0.0, 1.0), 1)
    metric = ScorerMetric(scorer, revive=lambda value: BoxTarget(**value))
    metric.update(ANSWERS[2:], targets[2:])
    metric.update(ANSWERS[:2], targets[:2])
    assert metric.compute()["precision@0.5"].item() == scores.metrics["precision@0.5"] == 50.0
    assert len({sample.cluster for sample in samples}) == 2


def test_submission_keeps_the_answers_as_they_are(tmp_path: Path) -> None:
    benchmark = RefCOCO(NAME, file="refcoco+_testA")
    samples = benchmark.load(write_refcoco(tmp_path))
    answers = [Prediction("1", "Café\n"), Prediction("0", "", "gone"), Prediction("2", "x"), Prediction("3", "y")]
    benchmark.submission(answers, samples, tmp_path)
    rows = json.loads((tmp_path / "submission.json").read_text(encoding="utf-8"))
    assert [row["answer"] for row in rows] == ["Café\n", "", "x", "y"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bbox": [1, 2, 3]}, "expected four numbers as bbox, got [1, 2, 3]"),
        ({"bbox": [1, 2, 3, float("nan")]}, "expected four numbers as bbox"),
        ({"bbox": "1,2,3,4"}, "expected four numbers as bbox"),
        ({"height": 0}, "expected positive numbers as height and width, got (0, 640)"),
        ({"width": "640"}, "expected positive numbers as height and width"),
        ({"sent": None}, "expected texts as image and sent"),
        ({"image": 7}, "expected texts as image and sent"),
    ],
)
def test_row_of_another_layout_is_named(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    rows = list_phrases()
    write_refcoco(tmp_path, rows=[rows[0], {**rows[1], **change}])
    with pytest.raises(InputError) as caught:
        RefCOCO(NAME, file="refcoco+_testA").load(tmp_path)
    text = str(caught.value)
    assert "refcoco+_testA.jsonl:2: " + message in text
    assert text.endswith("; get the file again")
    assert "\n" not in text


def test_missing_column_and_wrong_size_are_named(tmp_path: Path) -> None:
    [benchmark] = find(NAME)
    with pytest.raises(InputError, match="expected 5726 samples, got 4"):
        benchmark.load(write_refcoco(tmp_path))
    rows = list_phrases()
    del rows[2]["bbox"]
    with pytest.raises(InputError, match=r"\.jsonl:3: expected the keys .*, got no bbox"):
        benchmark.load(write_refcoco(tmp_path, rows=rows))
