"""MM-Vet: 218 questions that need several capabilities at once, graded by a judge between 0 and 1.

Data: docs/data/mmvet.md. Rule: mean grade. `submission.json` is what the authors' server grades, which is another judge
than yours. Where the converted `llava-mm-vet.jsonl` is there too, questions and their order are its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaluate.benchmark import Benchmark, Parity
from evaluate.jsonl import read_json, read_rows
from evaluate.judging import Rubric
from evaluate.rubrics.mmvet_grade import MmvetGrade
from evaluate.sample import Generation, Prediction, Sample
from evaluate.scorer import Scorer
from evaluate.scorers.mmvet import CAPABILITIES, MmvetTarget, mmvet
from evaluate.submission import NAME, pair, write_text
from internvl.conversation import Conversation
from internvl.errors import InputError

_KEYS = {"imagename": str, "question": str, "answer": str, "capability": list}


@dataclass(frozen=True)
class Mmvet(Benchmark):
    """One file of questions, answers and capabilities, and perhaps a converted one of questions alone.

    Attributes:
        runs: as in `MmvetGrade`.
    """

    folder: str = "data/mm-vet"
    runs: int = 1

    @property
    def files(self) -> tuple[str, ...]:
        return (f"{self.folder}/mm-vet.json",)

    @property
    def metric(self) -> str:
        return "mean grade"

    def read(self, root: Path) -> tuple[list[Sample], list[InputError]]:
        folder = root / self.folder
        nested = folder / "mm-vet" / "mm-vet.json"
        if nested.is_file() and not (folder / "mm-vet.json").is_file():
            told = f"{self.name}: expected mm-vet.json and images in {folder}, got them one folder deeper"
            return [], [InputError(f"{told}; move what is in {nested.parent} there")]
        return super().read(root)

    def samples(self, root: Path) -> Sequence[Sample]:
        path = root / self.files[0]
        known = dict(_read_targets(path))
        converted = path.with_name("llava-mm-vet.jsonl")
        rows = list(_read_questions(converted) if converted.is_file() else _list_questions(path, known))
        samples = []
        for where, number, image, question in rows:
            name = f"v1_{number}"
            if name not in known or known[name][0] != image:
                raise InputError(
                    f"{where}: expected a question of {path}, got {name} with the picture {image}, which is not there; "
                    "get both files again"
                )
            chat = Conversation.ask(f"{question} ", path.parent / "images" / image, source=where)
            samples.append(Sample(str(number), chat, known[name][1], {"name": name}))
        if len(samples) != len(known):
            raise InputError(
                f"{converted}: expected the {len(known)} questions of {path.name}, got {len(samples)}; get it again"
            )
        return samples

    def scorer(self) -> Scorer:
        return mmvet()

    def rubric(self) -> Rubric:
        return MmvetGrade(runs=self.runs)

    def submission(self, predictions: Sequence[Prediction], samples: Sequence[Sample], folder: Path) -> None:
        answers = {sample.info["name"]: prediction.text for prediction, sample in pair(predictions, samples)}
        write_text(folder / NAME, json.dumps(answers, ensure_ascii=False, indent=4))


def _read_targets(path: Path) -> Iterator[tuple[str, tuple[str, MmvetTarget]]]:
    """Name, picture and target of every question."""
    content = read_json(path)
    if not isinstance(content, dict):
        raise InputError(f"{path}: expected an object of questions, got {type(content).__name__}; get the file again")
    for name, row in content.items():
        wrong = [key for key, kind in _KEYS.items() if not isinstance(row, dict) or not isinstance(row.get(key), kind)]
        if wrong or not row["capability"] or not all(each in CAPABILITIES for each in row["capability"]):
            raise InputError(
                f"{path}: expected texts as imagename, question and answer, and capabilities of "
                f"{', '.join(CAPABILITIES)}, got {str(row)[:80]} for {name}; get the file again"
            )
        yield name, (row["imagename"], MmvetTarget(row["question"], row["answer"], tuple(row["capability"])))


def _list_questions(path: Path, known: dict[str, tuple[str, MmvetTarget]]) -> Iterator[tuple[str, str, str, str]]:
    """Place, number, picture and text of the questions, as a converted file would hold them."""
    for name, (image, target) in known.items():
        yield f"{path}: {name}", name.removeprefix("v1_"), image, target.question


def _read_questions(path: Path) -> Iterator[tuple[str, str, str, str]]:
    for where, row in read_rows(path, "question_id", "image", "text"):
        texts: list[Any] = [row["image"], row["text"]]
        if type(row["question_id"]) is not int or not all(isinstance(text, str) for text in texts):
            raise InputError(
                f"{where}: expected a number as question_id and texts as image and text, got {str(row)[:80]}; "
                "get the file again"
            )
        yield where, str(row["question_id"]), row["image"], row["text"]


_DIFFERENCES = {
    "lmms-eval": "puts a request to reason before the question, judge gpt-4o.",
    "VLMEvalKit": "judge gpt-4-turbo, takes the whole reply as a number, five tries.",
}
BENCHMARKS = [
    Mmvet(
        "mmvet",
        title="MM-Vet",
        size=218,
        judged=True,
        generation=Generation(max_new_tokens=1000),
        parity=Parity(
            "MM-Vet authors' `mm-vet_evaluator.py`",
            ("prompts", "mmvet"),
            "acde843e02dae30047bb456ee4a8ab28dee7e0ae",
            differences=_DIFFERENCES,
        ),
        preparation=(
            "mkdir -p data && cd data",
            "wget https://github.com/yuweihao/MM-Vet/releases/download/v1/mm-vet.zip && unzip mm-vet.zip",
        ),
    ),
]
