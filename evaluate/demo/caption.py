"""Small sets in the layouts of COCO's, Flickr30k's and NoCaps' captions, with pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

from evaluate.benchmarks.caption import KarpathyCaption, ListedCaption
from evaluate.demo.files import write_json
from evaluate.demo.pictures import write_picture

COCO = "data/coco/annotations/coco_karpathy_test.json", "data/coco/annotations/coco_karpathy_test_gt.json"
FLICKR, NOCAPS = "data/flickr30k/flickr30k_test_karpathy.json", "data/nocaps/nocaps_val_4500_captions.json"
References = Mapping[int, Sequence[str]]
REFERENCES: References = {
    42: ("A cat sits on a mat.", "A grey cat's resting on the mat."),
    7: ("Two dogs run in the park.", 'Dogs (two) run past a sign that says "STOP".'),
    123456: ("A café at 6:40PM…", "People sit outside of a café, at night."),
}
ANSWERS = ("A grey cat sits on a mat.", "Two dogs sit in the park", "")
"""What a model may say to each of the pictures."""
_WHO = ("a man", "two women", "the old dog", "children", "a red-haired chef", "somebody")
_DOES = ("rides", "looks at", "is holding", "sits next to", "doesn't see", "paints")
_WHAT = ("a bicycle", "the sea", "an umbrella", "3 kites", "a birthday cake", "his/her phone")
_ENDS = (".", " ", "", "!", ", at 5 o'clock.", " — in the snow.", "\n", "\u2028", " 🪁.", "\r")
"""Line breaks of all kinds among them: published captions have them, too."""
_DOMAINS = ("in-domain", "near-domain", "near-domain", "out-domain")


def invent(count: int, each: int) -> dict[int, list[str]]:
    """References to so many pictures, some of them twice, one very long."""
    found: dict[int, list[str]] = {}
    for number in range(count):
        random = Random(f"captions of {number}")
        what = random.choice(_WHAT)
        texts = [
            f"{random.choice(_WHO).capitalize()} {random.choice(_DOES)} {what}{random.choice(_ENDS)}"
            for _ in range(each)
        ]
        found[number * 7919 + 9] = texts
    found[9][1] = "A sign says\u2028STOP.\rIt is red."
    found[9][0] = f"A very long line of people, {'one behind the other, ' * 40}waits."
    return found


def list_coco(root: Path, references: References = REFERENCES) -> KarpathyCaption:
    """COCO's two files."""
    names = {image: f"val2014/COCO_val2014_{image:012}.jpg" for image in references}
    rows = [{"image": name, "caption": list(references[image])} for image, name in names.items()]
    write_json(root / COCO[0], rows)
    annotations = list_annotations(references)
    write_json(root / COCO[1], {"images": [{"id": image} for image in references], "annotations": annotations})
    draw(root / "data/coco", *names.values())
    return KarpathyCaption("caption-coco")


def list_flickr(root: Path, folder: str = "Images", references: References = REFERENCES) -> ListedCaption:
    """Flickr30k's one file; its names leave the folder of the pictures out."""
    images = [{"id": image, "image": f"{image}.jpg"} for image in references]
    write_json(root / FLICKR, {"images": images, "annotations": list_annotations(references)})
    draw(root / "data/flickr30k" / folder, *(str(row["image"]) for row in images))
    return ListedCaption("caption-flickr30k", file=FLICKR, folder="data/flickr30k")


def list_nocaps(root: Path, references: References = REFERENCES) -> ListedCaption:
    """NoCaps' one file, with domains."""
    images = [
        {
            "id": image,
            "file_name": f"{image:x}.jpg",
            "open_images_id": f"{image:x}",
            "domain": _DOMAINS[place % len(_DOMAINS)],
        }
        for place, image in enumerate(references)
    ]
    content = {"images": images, "annotations": list_annotations(references), "info": {}, "licenses": []}
    write_json(root / NOCAPS, content)
    draw(root / "data/nocaps/images", *(str(row["file_name"]) for row in images))
    return ListedCaption("caption-nocaps", file=NOCAPS, folder="data/nocaps/images")


def list_annotations(references: References = REFERENCES) -> list[dict[str, Any]]:
    """The references, in another order than the pictures."""
    rows = [(image, text) for image, texts in references.items() for text in texts]
    return [{"id": number, "image_id": image, "caption": text} for number, (image, text) in enumerate(rows[::-1])]


def draw(folder: Path, *names: str) -> None:
    """A picture under each name."""
    for number, name in enumerate(names):
        write_picture(folder / name, number)
