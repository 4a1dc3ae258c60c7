"""Plain versions of published scoring: annotations and answers are read as a whole, and each answer judged anew.

They repeat the steps of the published scripts, without memory and without shortcuts: a comparison for ours, which must
give the same value for every sample.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaluate.scorers.vqa_accuracy import ARTICLES, CONTRACTIONS, NUMBER_WORDS

_MARKS = [*';/[]"{}()=+\\_-><@`,?!']
_BOX = re.compile(r"\[*\[(.*?),(.*?),(.*?),(.*?)\]\]*")


def read_json(path: Path) -> Any:
    """A whole file."""
    return json.loads(path.read_text(encoding="utf-8"))


def read_lines(path: Path) -> list[Any]:
    """A file of lines."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def strip_marks(text: str) -> str:
    """Punctuation as published: two searches and one pattern per mark."""
    out = text
    for mark in _MARKS:
        if (mark + " " in text or " " + mark in text) or re.search(r"(\d)(\,)(\d)", text) is not None:
            out = out.replace(mark, "")
        else:
            out = out.replace(mark, " ")
    return re.sub(r"(?!<=\d)(\.)(?!\d)", "", out, count=32)


def judge_vqa(prediction: str, annotation: dict[str, Any]) -> float:
    """Clean everything anew, and compare every annotator with all others."""
    people = [dict(person) for person in annotation["answers"]]
    for person in people:
        person["answer"] = person["answer"].replace("\n", " ").replace("\t", " ").strip()
    if len({person["answer"] for person in people}) > 1:
        for person in people:
            person["answer"] = strip_marks(person["answer"])
    words = strip_marks(prediction.replace("\n", " ").replace("\t", " ").strip()).lower().split()
    kept = [NUMBER_WORDS.get(word, word) for word in words if NUMBER_WORDS.get(word, word) not in ARTICLES]
    said = " ".join(CONTRACTIONS.get(word, word) for word in kept)
    values = []
    for person in people:
        others = [other for other in people if other != person]
        values.append(min(1.0, len([other for other in others if other["answer"] == said]) / 3))
    return sum(values) / len(values)


def read_vqav2(root: Path) -> list[Any]:
    """Annotations of VQAv2 validation, in the order of the questions."""
    rows = read_json(root / "data/vqav2/v2_mscoco_val2014_annotations.json")["annotations"]
    known = {row["question_id"]: row for row in rows}
    return [known[row["question_id"]] for row in read_lines(root / "data/vqav2/vqav2_val.jsonl")]


def measure_distance(first: str, second: str) -> int:
    """The published table of edits."""
    if len(first) > len(second):
        first, second = second, first
    row: Sequence[int] = range(len(first) + 1)
    for place, other in enumerate(second):
        following = [place + 1]
        for column, one in enumerate(first):
            least = min(row[column], row[column + 1], following[-1])
            following.append(row[column] if one == other else 1 + least)
        row = following
    return row[-1]


def judge_page(prediction: str, row: dict[str, Any]) -> float:
    """The table for every accepted answer."""
    values = []
    for answer in row["answers"]:
        wanted, said = (" ".join(value.strip().lower().split()) for value in (answer, prediction))
        length = max(len(answer.upper()), len(prediction.upper()))
        values.append(measure_distance(wanted, said) / length if length else 0.0)
    similarity = 1 - min(values)
    return similarity if similarity >= 0.5 else 0.0


def read_boxes(root: Path) -> list[Any]:
    """Annotated boxes."""
    import torch  # what importing it takes is no part of the rule

    del torch
    return read_lines(root / "data/refcoco/refcoco_val.jsonl")


def judge_box(prediction: str, row: dict[str, Any]) -> float:
    """Tensors for every box."""
    import torch

    found = re.findall(_BOX, prediction)
    try:
        said = torch.tensor([float(value) for value in found[0]], dtype=torch.float32).view(1, 4)
    except (IndexError, ValueError):
        said = torch.zeros((1, 4), dtype=torch.float32)
    if said.sum() >= 4:
        said = said / 1000
    wanted = torch.tensor(row["bbox"], dtype=torch.float32).view(1, 4)
    said[:, 0::2] *= row["width"]
    said[:, 1::2] *= row["height"]
    areas = [(box[:, 2] - box[:, 0]) * (box[:, 3] - box[:, 1]) for box in (said, wanted)]
    sides = (torch.min(said[:, 2:], wanted[:, 2:]) - torch.max(said[:, :2], wanted[:, :2])).clamp(min=0)
    shared = sides[:, 0] * sides[:, 1]
    overlap = shared / (areas[0] + areas[1] - shared)
    return float(overlap.item() >= 0.5)


def judge_chart(prediction: str, row: dict[str, Any]) -> float:
    """The published rule, with its two arguments exchanged."""

    def read(text: str) -> float | None:
        try:
            return float(text.rstrip("%")) / 100 if text.endswith("%") else float(text)
        except ValueError:
            return None

    said, wanted = prediction.strip(), row["answer"]
    value, number = read(wanted), read(said)
    if value is not None and number:
        return float(abs(value - number) / abs(number) <= 0.05)
    return float(wanted.lower() == said.lower())


def judge_text(prediction: str, row: dict[str, Any]) -> float:
    """The same text."""
    return max([float(prediction.strip().lower() == answer.strip().lower()) for answer in [row["answer"]]])


def read_pope(root: Path) -> list[Any]:
    """The labels of each category in turn."""
    files = (root / f"data/pope/coco/coco_pope_{name}.json" for name in ("adversarial", "popular", "random"))
    return [row for file in files for row in read_lines(file)]


def judge_object(prediction: str, row: dict[str, Any]) -> float:
    """The words of the first sentence."""
    text = prediction.split(".")[0] if prediction.find(".") != -1 else prediction
    words = text.replace(",", "").split(" ")
    said = "no" if "No" in words or "not" in words or "no" in words else "yes"
    return float(said == row["label"])


@dataclass(frozen=True, slots=True)
class Plain:
    """How the right answers are read, in the order of the questions, and how an answer is judged by one."""

    read: Callable[[Path], list[Any]]
    judge: Callable[[str, dict[str, Any]], float]


PLAIN = {
    "vqa-vqav2-val": Plain(read_vqav2, judge_vqa),
    "vqa-docvqa-val": Plain(lambda root: read_json(root / "data/docvqa/val/val_v1.0.json")["data"], judge_page),
    "refcoco-val": Plain(read_boxes, judge_box),
    "vqa-chartqa-test-human": Plain(lambda root: read_lines(root / "data/chartqa/test_human.jsonl"), judge_chart),
    "vqa-ocrvqa-test": Plain(lambda root: read_lines(root / "data/ocrvqa/ocrvqa_test.jsonl"), judge_text),
    "pope": Plain(read_pope, judge_object),
}
"""By benchmark."""
