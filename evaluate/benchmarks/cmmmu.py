"""CMMMU: questions of Chinese college exams in thirty subjects: choice, true or false, and blanks.

Data: docs/data/cmmmu-val.md. Rule and wording of the authors: accuracy; the server scores the test set. All pictures of
a question stand before it, and `<图片 1>` in the text names the first of them.

InternVL v1.2.2 asks what stands in six files, `data/cmmmu-data/llava_<part>.jsonl`, and scores nothing. They were never
published: neither their wording, nor which questions they hold, nor whether their ids are those of the release, is
known. Without that an answer has no right one to be compared with, so no benchmark here reads them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from evaluate.benchmark import Benchmark, Parity
from evaluate.choices import letter
from evaluate.jsonl import is_id
from evaluate.parquet import check_picture, find_shards, read_table
from evaluate.sample import Generation, Prediction, Sample
from evaluate.scorer import Scorer
from evaluate.scorers.cmmmu import BLANK, CHOICE, TRUE_OR_FALSE, CmmmuScorer, CmmmuTarget
from evaluate.submission import Layout, read_texts, write_submission
from internvl.conversation import Conversation
from internvl.errors import InputError

UPLOAD = Layout({"id": object, "type": str, "response": str}, key="id")
"""What the server takes, a row per line."""
PARTS = (
    *("art_and_design", "business", "health_and_medicine", "humanities_and_social_sciences", "science"),
    "technology_and_engineering",
)
_INSTRUCTIONS = {
    CHOICE: (
        "请回答以下多项选择题，并选出正确选项。这些题目可能包括单选和多选题型。如果所提供的信息不足以确定一个明确的答案，"
        "那么请根据可用的数据和你的判断来选择最可能正确的选项。"
    ),
    TRUE_OR_FALSE: (
        "请回答以下判断题，并根据题目描述和所给的信息来判断问题中陈述的对错。如果信息不完整或不足以作出绝对判断，"
        "请运用你的逻辑推理和现有信息来做出最可能的判断。"
    ),
    BLANK: (
        "请回答以下填空题，并根据题目的要求和所提供的信息来给出最恰当的答案。如果信息不足以确切回答，"
        "那么请依据现有的数据和你的推理能力来填写最合理的答案。"
    ),
}
_OPTIONS = ("option1", "option2", "option3", "option4")
_PICTURES = ("image_1", "image_2", "image_3", "image_4", "image_5")
_NAMES = tuple(f"{name}_filename" for name in _PICTURES)
_COLUMNS = ("id", "type", "question", *_OPTIONS, "answer", "subcategory")
_TAG = re.compile(r"<img=\"[^\">]*\">")
_TRUTHS = ("对", "错")


@dataclass(frozen=True)
class Cmmmu(Benchmark):
    """A folder per part, as the hub keeps it.

    Attributes:
        split: which one; the answers to `test` are the server's.
        folder: of the data.
    """

    split: Literal["val", "test"] = "val"
    folder: str = "data/CMMMU"
    packages: tuple[str, ...] = ("pyarrow",)
    generation: Generation = field(default_factory=lambda: Generation(max_new_tokens=999))

    @property
    def files(self) -> tuple[str, ...]:
        if self.split == "test":
            return (f"{self.folder}/README.md",)  # large parts are cut into several files
        return tuple(f"{self.folder}/{part}/{self.split}-00000-of-00001.parquet" for part in PARTS)

    @property
    def metric(self) -> str:
        return "none (test server)" if self.split == "test" else "accuracy"

    def samples(self, root: Path) -> Sequence[Sample]:
        return [
            self._read_sample(where, row)
            for part in PARTS
            for path in find_shards(root / self.folder / part, self.split)
            for where, row in read_table(path, _COLUMNS, _PICTURES, _NAMES)
        ]

    def _read_sample(self, where: str, row: dict[str, Any]) -> Sample:
        kind, answer = row["type"], str(row["answer"] or "").strip()
        if not isinstance(kind, str) or kind not in _INSTRUCTIONS or not isinstance(row["question"], str):
            raise InputError(
                f"{where}: expected a question of the type {', '.join(_INSTRUCTIONS)}, got {kind!r}; get the file again"
            )
        names = [row.get(name) for name in _NAMES]
        texts = (row["answer"], row["subcategory"], *(row[name] for name in _OPTIONS), *names)
        if not is_id(row["id"]) or not all(isinstance(text, str | None) for text in texts):
            raise InputError(
                f"{where}: expected a number or a text as id, and texts as answer, subcategory, options and names of "
                f"pictures, got {row['id']!r} and {str(texts)[:80]}; get the file again"
            )
        there = [row[name] is not None for name in _PICTURES]
        if self.size is not None and (there != sorted(there, reverse=True) or not there[0]):
            raise InputError(f"{where}: expected pictures from image_1 on without a gap, got another; get it again")
        options = letter(str(row[name] or "") for name in _OPTIONS) if kind == CHOICE else {}
        pictures = [check_picture(row[name], where) for name in _PICTURES if row[name] is not None]
        text = word_item(kind, row["question"], options, names)
        prompt = Conversation.ask(text, *pictures, source=where)
        target = None
        if self.split != "test":
            if answer not in _TRUTHS if kind == TRUE_OR_FALSE else not answer:
                raise InputError(
                    f"{where}: expected an answer that fits the type {kind}, got {answer!r}; get the file again"
                )
            target = CmmmuTarget(kind, answer, options, str(row["subcategory"]))
        return Sample(str(row["id"]), prompt, target, {"item": row["id"], "type": kind})

    def scorer(self) -> Scorer | None:
        return None if self.split == "test" else CmmmuScorer()

    def submission(self, predictions: Sequence[Prediction], samples: Sequence[Sample], folder: Path) -> None:
        """The file that the server takes: a line per question."""
        texts = read_texts(predictions, samples)
        rows = [
            {"id": sample.info["item"], "type": sample.info["type"], "response": texts[sample.id]} for sample in samples
        ]
        write_submission(folder, rows, UPLOAD, [sample.info["item"] for sample in samples], "submission.jsonl")


def word_item(kind: str, question: str, options: dict[str, str], names: Sequence[str | None] = ()) -> str:
    """The authors' wording; tags of pictures become the numbers of their columns.

    Args:
        kind: of question.
        question: with tags.
        options: by letter, with tags.
        names: of the pictures, by column; other tags stay, and without any name tags are numbered as they come.
    """
    choices = "".join(f"({name}) {option}\n" for name, option in options.items())
    item = f"问题：{question}\n选项：\n{choices}\n" if kind == CHOICE else f"问题：{question}\n"
    numbers = {f'<img="{name}">': number for number, name in enumerate(names, 1) if name}
    if not numbers:
        numbers = {tag: number for number, tag in enumerate(dict.fromkeys(_TAG.findall(item)), 1)}
    item = _TAG.sub(lambda found: f"<图片 {numbers[found[0]]}>" if found[0] in numbers else found[0], item)
    return f"{_INSTRUCTIONS[kind]}\n\n{item}正确答案：\n"


_DIFFERENCES = {
    "lmms-eval": "the scorer that is compared here; answers have 16 tokens.",
    "VLMEvalKit": "has a rule of its own; several right candidates for one blank count several times.",
}
_PARITY = Parity(
    "the authors' scorer in lmms-eval, `cmmmu/utils.py`",
    ("cmmmu",),
    "75571cfe0fa36ca5ec2e6aa2bb268f9d38295af3",
    variant="wording and rule of the authors; InternVL v1.2.2 has neither, only the answers it writes",
    differences=_DIFFERENCES,
)
_PREPARATION = ("hf download m-a-p/CMMMU --repo-type dataset --local-dir data/CMMMU",)
BENCHMARKS = [
    Cmmmu(
        "cmmmu-val",
        title="CMMMU",
        size=900,
        protocol="cmmmu-official",
        groups=("cmmmu",),
        parity=_PARITY,
        preparation=_PREPARATION,
    ),
    Cmmmu(
        "cmmmu-test",
        title="CMMMU",
        size=11_000,
        protocol="cmmmu-official",
        split="test",
        groups=("cmmmu",),
        parity=_PARITY,
        preparation=_PREPARATION,
    ),
]
