"""COCO's and Flickr30k's captions from Karpathy's split: the test pictures, and what people wrote under them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from evaluate.conversion import Conversion, Original, Row
from evaluate.original import Entry, read_list
from internvl.errors import InputError

_ZIP = "caption_datasets.zip"
_SOURCE = f"https://cs.stanford.edu/people/karpathy/deepimagesent/{_ZIP}"
_DIGITS = re.compile(r"_(\d+)\.jpg$")


def list_coco(source: Path) -> Iterator[Row]:
    """A picture and all of its captions."""
    for entry in _select(source):
        captions = [sentence.text("raw") for sentence in entry.entries("sentences")]
        yield {"image": f"{entry.text('filepath')}/{entry.text('filename')}", "caption": captions}


def list_coco_references(source: Path) -> dict[str, list[Row]]:
    """Pictures and captions in the layout of COCO, with COCO's ids."""
    images: list[Row] = []
    captions: list[Row] = []
    for entry in _select(source):
        found = _DIGITS.search(entry.text("filename"))
        if found is None or int(found[1]) != entry.number("cocoid"):
            raise InputError(
                f"{entry.where}: expected a `filename` that ends with `cocoid`, got {entry.text('filename')} and "
                f"{entry.values.get('cocoid')}; get the file again"
            )
        images.append({"id": entry.number("cocoid")})
        captions += _list_captions(entry, entry.number("cocoid"))
    return {"images": images, "annotations": captions}


def list_flickr(source: Path) -> dict[str, list[Row]]:
    """Pictures and captions in the layout of COCO, with Karpathy's ids."""
    images: list[Row] = []
    captions: list[Row] = []
    for entry in _select(source):
        images.append({"id": entry.number("imgid"), "file_name": f"Images/{entry.text('filename')}"})
        captions += _list_captions(entry, entry.number("imgid"))
    return {"images": images, "annotations": captions}


def _list_captions(entry: Entry, image: int) -> Iterator[Row]:
    for sentence in entry.entries("sentences"):
        yield {"id": sentence.number("sentid"), "image_id": image, "caption": sentence.text("raw")}


def _select(source: Path) -> Iterator[Entry]:
    return (entry for entry in read_list(source, "images") if entry.text("split") == "test")


def _name_original(folder: str, file: str) -> tuple[Original]:
    command = f"(mkdir -p {folder} && cd {folder} && wget {_SOURCE} && unzip {_ZIP} {file})"
    return (Original(f"{folder}/{file}", command),)


_COCO = _name_original("data/coco/annotations", "dataset_coco.json")
CONVERSIONS = [
    Conversion("data/coco/annotations/coco_karpathy_test.json", _COCO, list_coco, key=("image",), size=5000),
    Conversion(
        "data/coco/annotations/coco_karpathy_test_gt.json",
        _COCO,
        list_coco_references,
        key=("id",),
        size=25_010,
    ),
    Conversion(
        "data/flickr30k/flickr30k_test_karpathy.json",
        _name_original("data/flickr30k", "dataset_flickr30k.json"),
        list_flickr,
        key=("id",),
        size=5000,
        note="ids and folder of the published file are not known; ids are Karpathy's, pictures lie in Images/",
    ),
]
