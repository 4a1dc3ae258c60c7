"""RefCOCO: a line per sentence, boxes as corners, and pickles that are read without running anything."""

from __future__ import annotations

import os
import pickle
import re
from pathlib import Path
from typing import Any

import pytest

from tests.evaluate.originals import load, prepare, refuse, show, write

FOLDER = "data/refcoco/refcoco+"
REFS = f"{FOLDER}/refs(unc).p"


class Harm:
    """What runs a command when a pickle is read as usual."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (self.command,)


def list_refs() -> list[dict[str, Any]]:
    return [
        {
            "ref_id": number,
            "ann_id": 70 + number,
            "image_id": 42,
            "split": split,
            "file_name": "COCO_train2014_000000000042_7.jpg",
            "category_id": 1,
            "sent_ids": [2 * number, 2 * number + 1],
            "sentences": [
                {"sent_id": 2 * number + place, "raw": text.upper(), "sent": text, "tokens": text.split()}
                for place, text in enumerate((f"man {number}", "café – left"))
            ],
        }
        for number, split in enumerate(("train", "testA", "val"))
    ]


def write_refcoco(root: Path, refs: Any = None, protocol: int = 2) -> None:
    write(root, REFS, pickle.dumps(list_refs() if refs is None else refs, protocol))
    boxes = [{"id": 70 + number, "image_id": 42, "bbox": [0.1, 10, 0.2, 5.5]} for number in range(3)]
    images = [{"id": 42, "width": 640, "height": 480, "file_name": "COCO_train2014_000000000042.jpg"}]
    write(root, f"{FOLDER}/instances.json", {"info": {}, "images": images, "annotations": boxes})


@pytest.mark.parametrize("protocol", [0, 2])
def test_sentences_of_a_split_have_the_box_of_their_phrase(tmp_path: Path, protocol: int) -> None:
    write_refcoco(tmp_path, protocol=protocol)
    if not protocol:
        # The published files were written by Python 2, whose texts are bytes.
        content = (tmp_path / REFS).read_bytes()
        (tmp_path / REFS).write_bytes(re.sub(rb"V([ -\[\]-~]+)\n", rb"S'\1'\n", content))
    samples = load(tmp_path, "refcoco+-testA")
    start = "Please provide the bounding box coordinate of the region this sentence describes: "
    assert [show(sample) for sample in samples] == [
        ("COCO_train2014_000000000042.jpg", f"{start}<ref>{text}</ref>") for text in ("man 1", "café – left")
    ]
    target = samples[1].target
    assert (target.box, target.height, target.width) == ((0.1, 10, 0.3, 15.5), 480, 640)


def test_a_pickle_that_runs_code_is_refused_and_does_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_refcoco(tmp_path, [*list_refs(), Harm(f"touch {tmp_path}/harm")])
    told = refuse(tmp_path, "refcoco+-val", capsys)
    assert f"error: {REFS}: expected a pickle of plain values, got posix.system, which is no plain value; get" in told
    for content in (pickle.dumps(list_refs())[:-40], b"\x80\x02}q", b"(lp0\n"):
        write(tmp_path, REFS, content)
        assert f"{REFS}: expected a pickle of plain values, got" in refuse(tmp_path, "refcoco+-val", capsys)


def test_boxes_that_are_missing_or_wrong_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    refs = list_refs()
    refs[2]["ann_id"] = 9
    write_refcoco(tmp_path, refs)
    told = refuse(tmp_path, "refcoco+-val", capsys)
    assert f"{REFS}: phrase 3: expected box 9 in {FOLDER}/instances.json, got none; get both files again" in told
    assert prepare(tmp_path, "refcoco+-testA") == 0
    content = {"images": [{"id": 42}], "annotations": [{"id": 9, "bbox": [1, 2, "3", 4]}]}
    write(tmp_path, f"{FOLDER}/instances.json", content)
    told = refuse(tmp_path, "refcoco+-val", capsys)
    assert "annotations` 1: expected four numbers as `bbox`, got [1, 2, '3', 4]; get the file again" in told
