"""Captions: prompts against tests/golden/prompts.json, small sets in the official layouts, and one run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from evaluate.__main__ import main
from evaluate.benchmark import find
from evaluate.demo.caption import (
    ANSWERS,
    COCO,
    FLICKR,
    REFERENCES,
    list_annotations,
    list_coco,
    list_flickr,
    list_nocaps,
)
from evaluate.demo.files import write_json
from evaluate.report import read_report
from evaluate.sample import Generation, Prediction
from evaluate.scorers.captions import CaptionTarget
from internvl.errors import InputError


@pytest.mark.golden("prompts")
def test_prompt_equals_the_published_one(family: dict[str, Any], tmp_path: Path) -> None:
    cases = [case for case in family["cases"] if case["input"].get("benchmark") == "caption"]
    expected = {"<image>\n" + case["expected"]["question"] for case in cases}
    assert {sample.prompt.turns[0].text for sample in list_coco(tmp_path).load(tmp_path)} >= expected


@pytest.mark.golden("prompts", kind="filename")
def test_image_id_stands_in_the_name(case: dict[str, Any], tmp_path: Path) -> None:
    image = case["expected"].get("image_id")
    if case["input"]["benchmark"] != "caption-coco" or image is None:
        pytest.skip("another benchmark")
    benchmark = list_coco(tmp_path)
    write_json(tmp_path / COCO[0], [{"image": case["input"]["image"], "caption": []}])
    write_json(tmp_path / COCO[1], {"annotations": [{"image_id": image, "id": 1, "caption": "A cat."}]})
    [sample] = benchmark.samples(tmp_path)
    assert sample.info == {"image_id": image}


def test_names_sizes_and_settings_are_the_published_ones() -> None:
    benchmarks = find("caption")
    sizes = {benchmark.name: benchmark.size for benchmark in benchmarks}
    assert sizes == {"caption-coco": 5000, "caption-flickr30k": 1000, "caption-nocaps": 4500}
    assert {benchmark.generation for benchmark in benchmarks} == {Generation(max_new_tokens=30, min_new_tokens=8)}


def test_every_layout_gives_pictures_references_and_ids(tmp_path: Path) -> None:
    for make in (list_coco, list_flickr, list_nocaps):
        samples = make(tmp_path).load(tmp_path)
        assert [sample.id for sample in samples] == ["42", "7", "123456"]
        assert all(picture.is_file() for sample in samples for picture in sample.prompt.images)
        assert [set(sample.target.references) for sample in samples] == [*map(set, REFERENCES.values())]
    assert [sample.target.domain for sample in samples] == ["in-domain", "near-domain", "near-domain"]
    other = tmp_path / "other"
    [picture] = list_flickr(other, folder="").load(other)[0].prompt.images
    assert picture == other / "data/flickr30k/42.jpg"


def test_answers_of_the_small_set_score_by_domain(tmp_path: Path) -> None:
    benchmark = list_nocaps(tmp_path)
    targets = [sample.target for sample in benchmark.load(tmp_path)]
    scores = benchmark.scorer()(ANSWERS, targets)
    assert scores.num_unparsed == 1
    assert scores.samples[0] > scores.samples[1] > scores.samples[2] == 0.0
    assert {"CIDEr", "CIDEr/in-domain", "CIDEr/near-domain", "BLEU-4", "ROUGE-L"} < scores.metrics.keys()


def test_run_writes_score_and_published_file(tmp_path: Path) -> None:
    list_coco(tmp_path)
    output = tmp_path / "out"
    fake = ["fake:A grey cat sits on a mat.", "caption-coco", "--root", str(tmp_path), "--output", str(output)]
    assert main([*fake, "--devices", "1", "--allow-size"]) == 0
    [folder] = output.glob("*/caption-coco")
    report = read_report(folder)
    said, targets = "A grey cat sits on a mat.", [CaptionTarget(texts) for texts in REFERENCES.values()]
    assert report["score"] == list_coco(tmp_path).scorer()([said] * 3, targets).metrics["CIDEr"] > 0
    assert json.loads((folder / "submission.json").read_text()) == [
        {"image_id": image, "caption": said} for image in REFERENCES
    ]


def test_submission_keeps_captions_as_they_are(tmp_path: Path) -> None:
    benchmark = list_coco(tmp_path)
    samples = benchmark.load(tmp_path)
    benchmark.submission(
        [Prediction("7", "Café\n"), Prediction("42", "", "gone"), Prediction("123456", "x")], samples, tmp_path
    )
    rows = json.loads((tmp_path / "submission.json").read_text(encoding="utf-8"))
    assert [*map(tuple, map(dict.values, rows))] == [(7, "Café\n"), (42, ""), (123456, "x")]


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        (COCO[0], {"images": []}, "expected a list of pictures, got none"),
        (COCO[0], [{"caption": []}], "picture 1: expected `image` with a name like"),
        (COCO[0], [{"image": "val2014/cat.png"}], "picture 1: expected `image` with a name like"),
        (COCO[0], [{"image": "val2014/COCO_val2014_9.jpg"}], "picture 1: expected captions of image 9 in"),
        (COCO[1], [], "expected an object with the list `annotations`"),
        (COCO[1], {"annotations": [{"image_id": "42", "caption": "a"}]}, "as text in annotation 1, got"),
        (COCO[1], {"annotations": [{"image_id": 42, "caption": None}]}, "as text in annotation 1, got"),
        (FLICKR, {"annotations": list_annotations()}, "expected an object with the list `images`"),
        (FLICKR, {"images": [{"id": 42}], "annotations": []}, "image 1: expected `id` as number and `file_name`"),
        (FLICKR, {"images": ["42.jpg"], "annotations": []}, "image 1: expected `id` as number and `file_name`"),
    ],
)
def test_file_of_another_layout_is_named(tmp_path: Path, file: str, content: Any, message: str) -> None:
    benchmark = list_flickr(tmp_path) if file == FLICKR else list_coco(tmp_path)
    write_json(tmp_path / file, content)
    with pytest.raises(InputError) as caught:
        benchmark.load(tmp_path)
    text = str(caught.value)
    assert message in text
    assert Path(file).name in text
    assert "\n" not in text


def test_cut_file_and_picture_listed_twice_are_named(tmp_path: Path) -> None:
    benchmark = list_coco(tmp_path)
    rows = json.loads((tmp_path / COCO[0]).read_text())
    write_json(tmp_path / COCO[0], [*rows, rows[0]])
    with pytest.raises(InputError, match="expected unique ids, got '42' twice"):
        benchmark.load(tmp_path)
    (tmp_path / COCO[1]).write_bytes(b'{"annotations": [')
    with pytest.raises(InputError, match=r"_gt\.json: expected JSON"):
        benchmark.load(tmp_path)
