"""Captions of COCO (Karpathy's test split), Flickr30k and NoCaps, one sentence per picture.

Data: official annotations, converted for the first two. Rule: CIDEr on the tokens of the Penn Treebank, without Java.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaluate.benchmark import V1_2, Benchmark, Parity
from evaluate.jsonl import read_json
from evaluate.sample import Generation, Prediction, Sample
from evaluate.scorer import Scorer
from evaluate.scorers.captions import CaptionScorer, CaptionTarget
from evaluate.submission import Layout, pair, write_submission
from internvl.conversation import Conversation
from internvl.errors import InputError

_RELEASE = "https://github.com/OpenGVLab/InternVL/releases/download/data"
PROMPT = "Provide a one-sentence caption for the provided image."
RESULT = Layout({"image_id": int, "caption": str}, key="image_id")
"""What COCO's tools take."""
_IMAGE_ID = re.compile(r"_(\d+)\.jpg$")


@dataclass(frozen=True)
class Caption(Benchmark):
    """Pictures, and what people wrote under them in the layout of COCO's captions."""

    @property
    def metric(self) -> str:
        return "CIDEr"

    @property
    @abstractmethod
    def annotations(self) -> str:
        """The file of references."""

    @abstractmethod
    def pictures(self, root: Path) -> Iterator[tuple[str, int, Path, str]]:
        """Place in the file, image id, picture and domain, in published order."""

    def samples(self, root: Path) -> Sequence[Sample]:
        path = root / self.annotations
        references = read_references(path)
        samples = []
        for where, image_id, picture, domain in self.pictures(root):
            if image_id not in references:
                raise InputError(f"{where}: expected captions of image {image_id} in {path}, got none; get it again")
            target = CaptionTarget(tuple(references[image_id]), domain)
            prompt = Conversation.ask(PROMPT, picture, source=where)
            samples.append(Sample(str(image_id), prompt, target, {"image_id": image_id}))
        unasked = references.keys() - {sample.info["image_id"] for sample in samples}
        if unasked and len(samples) == self.size:
            raise InputError(
                f"{path}: expected captions of the listed pictures alone, got some of {min(unasked)}; get "
                f"{' and '.join(self.files)} again"
            )
        without = [sample.prompt.source for sample in samples if not sample.target.domain]
        if 0 < len(without) < len(samples):
            raise InputError(f"{without[0]}: expected a domain, as others have, got none; get the file again")
        return samples

    def scorer(self) -> Scorer:
        return CaptionScorer()

    def submission(self, predictions: Sequence[Prediction], samples: Sequence[Sample], folder: Path) -> None:
        rows = [{"image_id": s.info["image_id"], "caption": p.text} for p, s in pair(predictions, samples)]
        write_submission(folder, rows, RESULT, wanted=[sample.info["image_id"] for sample in samples])


@dataclass(frozen=True)
class KarpathyCaption(Caption):
    """A list of pictures, and a file of references whose ids stand in the names of the pictures."""

    folder: str = "data/coco"

    @property
    def files(self) -> tuple[str, ...]:
        return f"{self.folder}/annotations/coco_karpathy_test.json", self.annotations

    @property
    def annotations(self) -> str:
        return f"{self.folder}/annotations/coco_karpathy_test_gt.json"

    def pictures(self, root: Path) -> Iterator[tuple[str, int, Path, str]]:
        path = root / self.files[0]
        rows = read_json(path)
        if not isinstance(rows, list):
            raise InputError(f"{path}: expected a list of pictures, got none; get the file again")
        for number, row in enumerate(rows, start=1):
            where, name = f"{path}: picture {number}", row.get("image") if isinstance(row, dict) else None
            if not isinstance(name, str) or (found := _IMAGE_ID.search(name)) is None:
                raise InputError(
                    f"{where}: expected `image` with a name like COCO_val2014_000000000042.jpg, got {str(name)[:80]}; "
                    "get the file again"
                )
            yield where, int(found[1]), root / self.folder / name, ""


@dataclass(frozen=True)
class ListedCaption(Caption):
    """One file with `images` and `annotations`; picture names may be inside `folder` or inside its `Images`."""

    file: str = ""
    folder: str = ""

    @property
    def files(self) -> tuple[str, ...]:
        return (self.file,)

    @property
    def annotations(self) -> str:
        return self.file

    def pictures(self, root: Path) -> Iterator[tuple[str, int, Path, str]]:
        path = root / self.file
        for number, row in enumerate(_read_list(path, "images"), start=1):
            where = f"{path}: image {number}"
            name = row.get("file_name", row.get("image")) if isinstance(row, dict) else None
            if not isinstance(name, str) or type(row.get("id")) is not int:
                raise InputError(
                    f"{where}: expected `id` as number and `file_name` or `image` as text, got {str(row)[:80]}; "
                    "get the file again"
                )
            if not isinstance(domain := row.get("domain", ""), str):
                raise InputError(f"{where}: expected a text as domain, got {domain!r}; get the file again")
            picture = root / self.folder / name
            # Published lists differ in whether names begin with the folder of the pictures.
            inside = root / self.folder / "Images" / name
            yield (
                where,
                row["id"],
                inside if not picture.is_file() and inside.is_file() else picture,
                domain,
            )


def read_references(path: Path) -> dict[int, list[str]]:
    """Captions by image id, from a file in the layout of COCO."""
    references: dict[int, list[str]] = {}
    seen: set[tuple[str, int, str]] = set()
    for number, row in enumerate(_read_list(path, "annotations"), start=1):
        if not isinstance(row, dict) or type(row.get("image_id")) is not int or not isinstance(row.get("caption"), str):
            raise InputError(
                f"{path}: expected `image_id` as number and `caption` as text in annotation {number}, got "
                f"{str(row)[:80]}; get the file again"
            )
        key = (str(row.get("id")), row["image_id"], row["caption"])
        if "id" in row and key in seen:  # without one, two people may have written the same
            raise InputError(f"{path}: expected unique annotations, got {number} again: {key}; get the file again")
        seen.add(key)
        references.setdefault(row["image_id"], []).append(row["caption"])
    return references


def _read_list(path: Path, key: str) -> list[Any]:
    content = read_json(path)
    rows = content.get(key) if isinstance(content, dict) else None
    if not isinstance(rows, list):
        raise InputError(f"{path}: expected an object with the list `{key}`, got none; get the file again")
    return rows


_GENERATION = Generation(max_new_tokens=30, min_new_tokens=8)
_DIFFERENCES = {
    "lmms-eval": (
        "asks for a brief description of COCO pictures and allows 64 tokens; its Flickr30k has the whole set of "
        "about 31,800 pictures, not the 1,000 of the test split; no SPICE."
    ),
    "VLMEvalKit": "cuts words without the rules of the Penn Treebank, so that its CIDEr cannot be compared.",
}
_PARITY = Parity(
    "InternVL v1.2.2 `evaluate_caption.py`, pycocoevalcap 1.2", ("prompts", "captions"), V1_2, differences=_DIFFERENCES
)
BENCHMARKS = [
    KarpathyCaption(
        "caption-coco",
        title="COCO",
        split="test",
        size=5000,
        generation=_GENERATION,
        groups=("caption",),
        parity=_PARITY,
        preparation=(
            "mkdir -p data/coco/annotations && cd data/coco",
            "wget http://images.cocodataset.org/zips/val2014.zip && unzip val2014.zip && cd annotations",
            f"wget {_RELEASE}/coco_karpathy_test.json",
            f"wget {_RELEASE}/coco_karpathy_test_gt.json",
        ),
    ),
    ListedCaption(
        "caption-flickr30k",
        title="Flickr30K",
        split="test",
        size=1000,
        generation=_GENERATION,
        groups=("caption",),
        parity=_PARITY,
        file="data/flickr30k/flickr30k_test_karpathy.json",
        folder="data/flickr30k",
        preparation=(
            "mkdir -p data/flickr30k && cd data/flickr30k",
            f"wget {_RELEASE}/flickr30k_test_karpathy.json",
            "# ask for the pictures at https://bryanplummer.com/Flickr30kEntities/ and unpack them as Images/",
        ),
    ),
    ListedCaption(
        "caption-nocaps",
        title="NoCaps",
        split="val",
        size=4500,
        generation=_GENERATION,
        groups=("caption",),
        parity=_PARITY,
        file="data/nocaps/nocaps_val_4500_captions.json",
        folder="data/nocaps/images",
        preparation=(
            "mkdir -p data/nocaps/images && cd data/nocaps",
            "wget https://nocaps.s3.amazonaws.com/nocaps_val_4500_captions.json",
            "# get the pictures that the file names, as images/<file_name>: https://nocaps.org/download",
        ),
    ),
]
