"""RefCOCO, RefCOCO+ and RefCOCOg: find the box of what a phrase describes.

Data: one JSONL file per split, pictures of COCO train2014. Rule: the box overlaps the annotated one by half (IoU 0.5).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaluate.benchmark import V1_2, Benchmark, Parity
from evaluate.jsonl import read_rows
from evaluate.sample import Generation, Prediction, Sample
from evaluate.scorer import Scorer
from evaluate.scorers.box_iou import BoxTarget, box_accuracy
from evaluate.submission import Layout, pair, write_submission
from internvl.conversation import Conversation
from internvl.errors import InputError

_CONVERTED = "https://ofasys-wlcb.oss-cn-wulanchabu.aliyuncs.com/Qwen-VL/evaluation"
RESULT = Layout({"answer": str, "gt_bbox": tuple, "hw": tuple})
"""The published result file."""
PROMPT = "Please provide the bounding box coordinate of the region this sentence describes: <ref>{}</ref>"
SIZES = {
    "refcoco_val": 10834,
    "refcoco_testA": 5657,
    "refcoco_testB": 5095,
    "refcoco+_val": 10758,
    "refcoco+_testA": 5726,
    "refcoco+_testB": 4889,
    "refcocog_val": 4896,
    "refcocog_test": 9602,
}
"""Published splits, in the order that the original runs them in, and their numbers of phrases."""


@dataclass(frozen=True)
class RefCOCO(Benchmark):
    """One split; a line per phrase, and several of them may be about the same box."""

    file: str = ""

    @property
    def files(self) -> tuple[str, ...]:
        return (f"data/refcoco/{self.file}.jsonl",)

    @property
    def metric(self) -> str:
        return "precision at IoU 0.5"

    def samples(self, root: Path) -> Sequence[Sample]:
        rows = read_rows(root / self.files[0], "image", "sent", "bbox", "height", "width")
        samples = []
        for number, (where, row) in enumerate(rows):
            if not isinstance(row["image"], str) or not isinstance(row["sent"], str):
                raise InputError(f"{where}: expected texts as image and sent, got others; get the file again")
            prompt = Conversation.ask(PROMPT.format(row["sent"]), root / row["image"], source=where)
            samples.append(Sample(str(number), prompt, _read_target(where, row)))
        return samples

    def scorer(self) -> Scorer:
        return box_accuracy()

    def submission(self, predictions: Sequence[Prediction], samples: Sequence[Sample], folder: Path) -> None:
        rows = [
            {"answer": p.text, "gt_bbox": s.target.box, "hw": (s.target.height, s.target.width)}
            for p, s in pair(predictions, samples)
        ]
        write_submission(folder, rows, RESULT)


def _read_target(where: str, row: dict[str, Any]) -> BoxTarget:
    box, size = row["bbox"], (row["height"], row["width"])
    if not isinstance(box, list) or len(box) != 4 or not all(map(_is_number, box)):
        raise InputError(f"{where}: expected four numbers as bbox, got {str(box)[:80]}; get the file again")
    if not all(_is_number(side) and side > 0 for side in size):
        raise InputError(f"{where}: expected positive numbers as height and width, got {size}; get the file again")
    # Published boxes may reach over the border by a part of a pixel.
    if not all(-1 <= box[k] <= box[k + 2] <= 1.01 * size[1 - k] + 1 for k in (0, 1)):
        raise InputError(
            f"{where}: expected x1, y1, x2, y2 inside of {size[1]} x {size[0]} pixels as bbox, got {box}; "
            "get the file again"
        )
    return BoxTarget((box[0], box[1], box[2], box[3]), *size)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


_TITLES = {"refcoco": "RefCOCO", "refcoco+": "RefCOCO+", "refcocog": "RefCOCOg"}


def _list_commands(split: str) -> tuple[str, ...]:
    folder, file = split.split("_")[0], f"{split}.jsonl"
    address = f"{folder}/{file}".replace("+", "%2B")
    return (
        "mkdir -p data/coco data/refcoco",
        "(cd data/coco && wget http://images.cocodataset.org/zips/train2014.zip && unzip train2014.zip)",
        f"wget -O data/refcoco/{file} {_CONVERTED}/{address}",
    )


_DIFFERENCES = {
    "lmms-eval": "asks for coordinates from 0 to 1, once per phrase; overlaps of 0.1 to 0.9, and centres inside.",
    "VLMEvalKit": "reads boxes up to 1.5 as fractions and others as thousandths; also a mean over the splits.",
}
BENCHMARKS = [
    RefCOCO(
        file.replace("_", "-"),
        title=_TITLES[file.partition("_")[0]],
        split=file.partition("_")[2],
        file=file,
        size=size,
        generation=Generation(max_new_tokens=100),
        groups=("refcoco",),
        parity=Parity(
            "InternVL v1.2.2 `evaluate_grounding.py`", ("prompts", "refcoco"), V1_2, differences=_DIFFERENCES
        ),
        preparation=_list_commands(file),
    )
    for file, size in SIZES.items()
]
