"""MIA-Bench: the official file with a fetched folder, missing pictures, published answers in and out, and scores."""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evaluate.baselines import withhold_pictures
from evaluate.benchmarks.mia_bench import BENCHMARKS, MiaBench
from evaluate.demo.files import write_rows
from evaluate.demo.mia_bench import PICTURES, list_items, write_items, write_mia_bench
from evaluate.demo.pictures import draw
from evaluate.jsonl import read_rows
from evaluate.judging import Verdict
from evaluate.picture_cache import Entry, write_manifest
from evaluate.rubrics.mia_components import MiaComponents
from evaluate.sample import Prediction, Sample
from evaluate.score_command import build_parser, store_answers
from internvl.errors import InputError, MissingError
from tests.evaluate.verdicts import drive

SMALL = replace(BENCHMARKS[0], size=None)


def reply(sample: Sample) -> str:
    """Full points for every component but the first."""
    weights = sample.target.weights
    points = [0, *weights[1:]]
    parts = [f"score of component {n}: {p}/{w}" for n, (p, w) in enumerate(zip(points, weights, strict=True), 1)]
    return ", ".join([*parts, f"total score: {sum(points)}/{sum(weights)}"]) + ". Because 1.5 is more."


def judge(predictions: list[Prediction], samples: list[Sample]) -> list[Verdict]:
    rubric = SMALL.rubric()
    return [
        Verdict("", "no_prediction") if p.error else drive(rubric.grade(p.text, s), reply(s))[0]
        for p, s in zip(predictions, samples, strict=True)
    ]


def test_samples_are_the_instructions_unchanged_with_the_fetched_pictures(tmp_path: Path) -> None:
    samples = SMALL.load(write_mia_bench(tmp_path))
    items = list_items()
    assert [sample.id for sample in samples] == [str(number) for number in range(10)]
    assert [sample.prompt.turns[-1].text for sample in samples] == ["<image>\n" + i["instruction"] for i in items]
    [picture] = samples[4].prompt.images
    assert isinstance(picture, Path)
    assert picture.name.startswith("004_")
    assert picture.read_bytes() == draw(4)
    assert samples[4].target.weights == (4, 2, 1, 2, 1)
    assert (samples[3].info["url"], samples[3].info["index"]) == ("pictures.example.org/3/photo.jpg", 3)


def test_judge_sees_the_picture_also_where_the_model_was_shown_none(tmp_path: Path) -> None:
    sample = withhold_pictures(SMALL.load(write_mia_bench(tmp_path)))[2]
    assert sample.prompt.images == ()
    _, [request] = drive(MiaComponents().grade("hi", sample), reply(sample))
    assert request.messages[0].parts[1] == draw(2)


def test_missing_pictures_are_told_and_stop_nothing_as_long_as_there_are_some(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    samples = SMALL.load(write_mia_bench(tmp_path, missing=(0, 7)))
    assert "note: mia-bench: 2 of 10 pictures are missing (0, 7)" in capsys.readouterr().err
    assert samples[7].prompt.images == (tmp_path / PICTURES / "007.jpg",)
    verdict, requests = drive(MiaComponents().grade("hi", samples[7]), "x")
    assert (verdict.status, requests) == ("no_prediction", [])
    write_mia_bench(tmp_path / "none", missing=tuple(range(10)))
    with pytest.raises(MissingError, match=r"expected pictures in .*, got none of 10; run sh evaluate\.sh fetch mia-b"):
        SMALL.load(tmp_path / "none")
    with pytest.raises(MissingError, match=r"manifest\.json, which does not exist"):
        SMALL.load(write_items(tmp_path / "bare", list_items()))


def test_published_files_are_written_and_read_back(tmp_path: Path) -> None:
    samples = SMALL.load(write_mia_bench(tmp_path))
    predictions = [Prediction(sample.id, f"Says {sample.id} 🙂") for sample in samples]
    predictions[5] = Prediction("5", "", "no memory")
    folder = tmp_path / "out" / "mine" / "mia-bench"
    folder.mkdir(parents=True)
    SMALL.submission(predictions, samples, folder)
    lines = (folder / "mia_inference.jsonl").read_text(encoding="utf-8").splitlines()
    first = json.loads(lines[0])
    assert list(first) == ["url", "text", "index", "prompt", "model", "image_sha256"]
    assert (first["url"], first["model"]) == ("http://pictures.example.org/0/photo.jpg", "mine")
    assert json.loads(lines[5])["text"] == "error"
    shuffled = tmp_path / "shuffled.jsonl"
    shuffled.write_text("\n".join(lines[::-1]), encoding="utf-8")
    answers = SMALL.match_answers(shuffled, samples)
    assert answers.missing == answers.unknown == ()
    assert [p.text for p in answers.predictions] == [p.text for p in predictions]
    assert [bool(p.error) for p in answers.predictions] == [bool(p.error) for p in predictions]


def test_answers_of_another_tool_become_a_run(tmp_path: Path) -> None:
    write_mia_bench(tmp_path)
    rows = [{"question_id": item["image"], "prompt": "?", "text": f"of {n}"} for n, item in enumerate(list_items())]
    write_rows(tmp_path / "theirs.jsonl", rows[::-1])
    words = [str(tmp_path / "theirs.jsonl"), "--benchmark", "mia-bench", "--root", str(tmp_path), "--allow-size"]
    with ExitStack() as claims:
        run, _ = store_answers(build_parser().parse_args([*words, "--output", str(tmp_path / "out")]), claims)
    stored = [row for _, row in read_rows(run.folder / "part-0.jsonl")]
    assert [(row["id"], row["text"]) for row in stored] == [(str(n), f"of {n}") for n in range(10)]
    write_rows(tmp_path / "theirs.jsonl", [{"text": "a"}] * 9)
    with pytest.raises(InputError, match="expected 10 lines, as they have neither index nor url, got 9"):
        store_answers(build_parser().parse_args(words), ExitStack())


def test_scores_and_their_files(tmp_path: Path) -> None:
    samples = SMALL.load(write_mia_bench(tmp_path))
    predictions = [Prediction(sample.id, "hi") for sample in samples]
    predictions[5] = Prediction("5", "", "no memory")
    verdicts = judge(predictions, samples)
    verdicts[9] = Verdict("**Total score**: 1/10", "parse_error", "no sentence")
    scores = SMALL.scorer()(verdicts, [sample.target for sample in samples])
    totals = [0, 0.4, 0.6, 0.6, 0.6, None, 0.4, 0.6, 0.6, None]
    assert scores.samples == pytest.approx(totals)
    assert scores.metrics["score"] == pytest.approx(100 * 3.8 / 8)
    assert scores.metrics["score_strict"] == pytest.approx(38)
    SMALL.review(predictions, verdicts, samples, tmp_path)
    stored = json.loads((tmp_path / "mia_scores.json").read_text())
    assert list(stored)[-1] == "extra"
    assert stored["total_score"] == pytest.approx(3.8 / 8)
    assert (stored["describe"], stored["length_limit"]) == (0, 1)
    assert stored["extra"]["coverage"] == pytest.approx(80)
    table = (tmp_path / "mia_scores.csv").read_text().splitlines()
    assert table[0] == "score,mean,items"
    assert table[1].startswith("total_score,0.47")
    assert [row.split(",")[0] for row in table[2:]] == ["describe", "mention", "length_limit", "grammar"]
    rows = [json.loads(line) for line in (tmp_path / "mia_judged.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [row["status"] for row in rows].count("ok") == 8
    assert rows[1]["scores"] == {"describe": 0.0, "length_limit": 1.0, "total_score": 0.4}
    assert (rows[9]["reply"], rows[9]["scores"], rows[9]["reason"]) == ("**Total score**: 1/10", None, "no sentence")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"components": ["a"]}, r"item 1: expected one to 5 components with a weight and a type each, got \[1, 2, 2\]"),
        ({"component_weight": [6, 4.0]}, r"item 1: expected a list of int as component_weight, got \[6, 4.0\]"),
        ({"component_weight": [6, 0]}, "item 1: expected weights above zero"),
        ({"instruction": None}, "item 1: expected a text as instruction, got None"),
        ({"image": "http://elsewhere/1.jpg"}, r"manifest\.json: expected http://elsewhere/1.jpg for item 1, got http"),
    ],
)
def test_items_that_do_not_fit_are_named(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    write_mia_bench(tmp_path)
    items = list_items()
    write_items(tmp_path, [items[0], {**items[1], **change}, *items[2:]])
    with pytest.raises(InputError, match=message):
        SMALL.load(tmp_path)


def test_manifest_cannot_open_files_elsewhere(tmp_path: Path) -> None:
    write_mia_bench(tmp_path, 1)
    write_manifest(tmp_path / PICTURES, [Entry(0, list_items(1)[0]["image"], "fetched", "../../../../etc/passwd")])
    with pytest.raises(InputError, match=r"expected an index of its own and a file of its folder, got 0 and '\.\./"):
        SMALL.load(tmp_path)


def test_judge_is_asked_again_only_where_wanted() -> None:
    assert MiaBench("mine", further=3).rubric() == MiaComponents(further=3)
