"""Karpathy's splits of COCO and Flickr30k: pictures and references of the test split."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.evaluate.originals import load, refuse, show, write

COCO, FLICKR = "data/coco/annotations/dataset_coco.json", "data/flickr30k/dataset_flickr30k.json"
TEXTS = (("A cat.", 'A "grey" cat\n'), ("Two dogs run.",), ("Nobody asks.",))


def list_images(name: str) -> list[dict[str, Any]]:
    return [
        {
            "filename": name.format(42 + number),
            "imgid": number,
            "split": ("test", "test", "restval")[number],
            "sentences": [
                {"raw": text, "imgid": number, "sentid": 10 * number + place, "tokens": []}
                for place, text in enumerate(texts)
            ],
        }
        for number, texts in enumerate(TEXTS)
    ]


def write_coco(root: Path) -> dict[str, Any]:
    images = list_images("COCO_val2014_{:012}.jpg")
    for number, image in enumerate(images):
        image |= {"filepath": "val2014", "cocoid": 42 + number}
    content = {"dataset": "coco", "images": images}
    write(root, COCO, content)
    return content


def test_coco_has_the_test_pictures_and_their_references(tmp_path: Path) -> None:
    write_coco(tmp_path)
    samples = load(tmp_path, "caption-coco")
    assert [sample.id for sample in samples] == ["42", "43"]
    assert show(samples[0])[0] == "COCO_val2014_000000000042.jpg"
    assert [sample.target.references for sample in samples] == list(TEXTS[:2])


def test_flickr_has_the_test_pictures_and_their_references(tmp_path: Path) -> None:
    write(tmp_path, FLICKR, {"images": list_images("10000{}.jpg"), "dataset": "flickr30k"})
    samples = load(tmp_path, "caption-flickr30k")
    assert [sample.prompt.images[0] for sample in samples] == [
        tmp_path / f"data/flickr30k/Images/10000{number}.jpg" for number in (42, 43)
    ]
    assert [sample.target.references for sample in samples] == list(TEXTS[:2])


def test_a_name_and_an_id_that_differ_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = write_coco(tmp_path)
    content["images"][1]["cocoid"] = 7
    write(tmp_path, COCO, content)
    told = refuse(tmp_path, "caption-coco", capsys, made=1)
    assert f"error: {COCO}: images 2: expected a `filename` that ends with `cocoid`" in told
    del content["images"][0]["sentences"][1]["raw"]
    write(tmp_path, COCO, content)
    told = refuse(tmp_path, "caption-coco", capsys)
    assert f"{COCO}: images 1, `sentences` 2: expected a text as `raw`, got no `raw`; get the file again\n" in told
