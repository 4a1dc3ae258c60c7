"""Small sets in the layouts of COCO's, Flickr30k's and NoCaps' captions, with pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PIL import Image

from evaluate.benchmarks.caption import KarpathyCaption, ListedCaption
from evaluate.demo.files import write_json

COCO = "data/coco/annotations/coco_karpathy_test.json", "data/coco/annotations/coco_karpathy_test_gt.json"
FLICKR, NOCAPS = "data/flickr30k/flickr30k_test_karpathy.json", "data/nocaps/nocaps_val_4500_captions.json"
REFERENCES = {
    42: ("A cat sits on a mat.", "A grey cat's resting on the mat."),
    7: ("Two dogs run in the park.", 'Dogs (two) run past a sign that says "STOP".'),
    123456: ("A café at 6:40PM…", "People sit outside of a café, at night."),
}
ANSWERS = ("A grey cat sits on a mat.", "Two dogs sit in the park", "")
"""What a model may say to each of the pictures."""


def list_coco(root: Path) -> KarpathyCaption:
    """COCO's two files."""
    names = {image: f"val2014/COCO_val2014_{image:012}.jpg" for image in REFERENCES}
    rows = [{"image": name, "caption": list(REFERENCES[image])} for image, name in names.items()]
    write_json(root / COCO[0], rows)
    write_json(root / COCO[1], {"images": [{"id": image} for image in REFERENCES], "annotations": list_annotations()})
    draw(root / "data/coco", *names.values())
    return KarpathyCaption("caption-coco")


def list_flickr(root: Path, folder: str = "Images") -> ListedCaption:
    """Flickr30k's one file; its names leave the folder of the pictures out."""
    images = [{"id": image, "image": f"{image}.jpg"} for image in REFERENCES]
    write_json(root / FLICKR, {"images": images, "annotations": list_annotations()})
    draw(root / "data/flickr30k" / folder, *(str(row["image"]) for row in images))
    return ListedCaption("caption-flickr30k", file=FLICKR, folder="data/flickr30k")


def list_nocaps(root: Path) -> ListedCaption:
    """NoCaps' one file, with domains."""
    domains = ("in-domain", "near-domain", "near-domain")
    images = [
        {"id": image, "file_name": f"{image:x}.jpg", "open_images_id": f"{image:x}", "domain": domain}
        for image, domain in zip(REFERENCES, domains, strict=True)
    ]
    write_json(root / NOCAPS, {"images": images, "annotations": list_annotations(), "info": {}, "licenses": []})
    draw(root / "data/nocaps/images", *(str(row["file_name"]) for row in images))
    return ListedCaption("caption-nocaps", file=NOCAPS, folder="data/nocaps/images")


def list_annotations() -> list[dict[str, Any]]:
    """The references, in another order than the pictures."""
    rows = [(image, text) for image, texts in REFERENCES.items() for text in texts]
    return [{"id": number, "image_id": image, "caption": text} for number, (image, text) in enumerate(rows[::-1])]


def draw(folder: Path, *names: str) -> None:
    """A small picture under each name."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (32, 32), "blue").save(folder / name)
