"""TextVQA validation: questions about text in pictures, with the OCR tokens in the question as published.

Data: docs/data/vqa-textvqa-val.md. Rule: VQA accuracy over ten human answers.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from evaluate.benchmark import Benchmark, Parity
from evaluate.jsonl import read_json, read_rows
from evaluate.sample import Generation, Prediction, Sample
from evaluate.scorer import Scorer
from evaluate.scorers.vqa_accuracy import VQATarget, vqa_accuracy
from internvl.conversation import Conversation
from internvl.errors import InputError

_CONVERTED = "https://ofasys-wlcb.oss-cn-wulanchabu.aliyuncs.com/Qwen-VL/evaluation/textvqa"
PROMPT = "Answer the question using a single word or phrase."


@dataclass(frozen=True)
class TextVQA(Benchmark):
    """One file of questions and one of annotations, in the layout of VQA."""

    questions: str = "data/textvqa/textvqa_val_llava.jsonl"
    annotations: str = "data/textvqa/textvqa_val_annotations.json"

    @property
    def files(self) -> tuple[str, ...]:
        return self.questions, self.annotations

    @property
    def metric(self) -> str:
        return "VQA accuracy"

    def samples(self, root: Path) -> Sequence[Sample]:
        targets = read_vqa_targets(root / self.annotations)
        samples = []
        for where, row in read_rows(root / self.questions, "image", "question", "question_id"):
            if not isinstance(row["question"], str) or not isinstance(row["image"], str):
                raise InputError(f"{where}: expected texts as question and image, got others; get the file again")
            key = str(row["question_id"])
            if key not in targets:
                raise InputError(
                    f"{where}: expected question {key} in {root / self.annotations}, got none; get both files again"
                )
            if row["question"].rstrip().endswith(PROMPT):
                raise InputError(
                    f"{where}: expected a question without the prompt, got one that ends with it; "
                    "the model would read it twice, remove it from the file"
                )
            prompt = Conversation.ask(f"{row['question']} {PROMPT}", root / row["image"], source=where)
            samples.append(Sample(key, prompt, targets[key], {"question_id": row["question_id"]}))
        return samples

    def scorer(self) -> Scorer:
        return vqa_accuracy(self.protocol)

    def submission(self, predictions: Sequence[Prediction], samples: Sequence[Sample], folder: Path) -> None:
        questions = {sample.id: sample for sample in samples}
        rows = [
            {
                "question": questions[p.id].prompt.turns[-1].text.removeprefix("<image>\n"),
                "question_id": questions[p.id].info["question_id"],
                "answer": p.text,
            }
            for p in predictions
        ]
        (folder / "submission.json").write_text(json.dumps(rows, ensure_ascii=False), encoding="utf-8")


def read_vqa_targets(path: Path) -> dict[str, VQATarget]:
    """Human answers by question id, from an annotation file in the layout of VQA."""
    content = read_json(path)
    rows = content.get("annotations") if isinstance(content, dict) else None
    if not isinstance(rows, list):
        raise InputError(f"{path}: expected an object with `annotations`, got none; get the file again")
    targets = {}
    for number, row in enumerate(rows, 1):
        try:
            key, answers = str(row["question_id"]), tuple(str(answer["answer"]) for answer in row["answers"])
        except (KeyError, TypeError):
            raise InputError(
                f"{path}: expected `question_id` and `answers` in annotation {number}, got {str(row)[:80]}; "
                "get the file again"
            ) from None
        if len(answers) != 10:
            raise InputError(f"{path}: expected ten answers for question {key}, got {len(answers)}; get the file again")
        kinds = (row.get("question_type", ""), row.get("answer_type", ""))
        targets[key] = VQATarget(answers, *kinds)
    return targets


BENCHMARKS = [
    TextVQA(
        "vqa-textvqa-val",
        title="TextVQA",
        split="val",
        size=5000,
        generation=Generation(max_new_tokens=10),
        groups=("vqa",),
        parity=Parity("InternVL v1.2.2 `evaluate_vqa.py`", ("prompts", "vqa_accuracy")),
        preparation=(
            "mkdir -p data/textvqa && cd data/textvqa",
            "wget https://dl.fbaipublicfiles.com/textvqa/images/train_val_images.zip && unzip train_val_images.zip",
            f"wget {_CONVERTED}/textvqa_val_annotations.json",
            "wget https://github.com/OpenGVLab/InternVL/releases/download/data/textvqa_val_llava.jsonl",
        ),
    ),
]
