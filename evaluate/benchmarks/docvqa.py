"""DocVQA and InfographicVQA: questions about scanned pages and about infographics.

Data: docs/data/vqa-docvqa-val.md. Rule: ANLS. The answers of the test sets are known to a server alone (rrc.cvc.uab.es,
challenge 17). InternVL v1.2.2 has the prompt and the rule for InfographicVQA and no task; later ones have both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaluate.benchmark import V1_2, Benchmark, Parity
from evaluate.jsonl import is_id, read_json
from evaluate.questions import CONVERTED, Question, read_samples, show_question
from evaluate.sample import Generation, Prediction, Sample
from evaluate.scorer import Scorer
from evaluate.scorers.anls import ANLSTarget, anls
from evaluate.submission import Layout, pair, write_submission
from internvl.errors import InputError

RESULT = Layout({"question": str, "questionId": int, "answer": str, "annotation": object}, key="questionId")
"""The published result file, which the scoring script takes."""
UPLOAD = Layout({"questionId": int, "answer": str}, key="questionId")
"""What the server takes."""
_TYPES = {
    "answer_type": {
        "image span": "Image-Span",
        "question span": "Question-Span",
        "multiple spans": "Multi-Span",
        "non span": "None span",
    },
    "evidence": {
        "table/list": "Table/list",
        "textual": "Text",
        "photo/pciture/visual_objects": "Visual/Layout",
        "figure": "Figure",
        "map": "Map",
    },
    "operation/reasoning": {"comparison": "Sorting", "arithmetic": "Arithmetic", "counting": "Counting"},
}
"""Lists of an annotation, and what the scoring script calls their entries."""


@dataclass(frozen=True)
class DocVQA(Benchmark):
    """A validation set: questions, and a file of the right answers."""

    questions: str = "data/docvqa/val.jsonl"
    annotations: str = "data/docvqa/val/val_v1.0.json"

    @property
    def files(self) -> tuple[str, ...]:
        return self.questions, self.annotations

    @property
    def metric(self) -> str:
        return "ANLS in percent"

    def samples(self, root: Path) -> Sequence[Sample]:
        targets = read_anls_targets(root / self.annotations)

        def find_target(question: Question) -> ANLSTarget:
            if (target := targets.get(str(question.id))) is None:
                raise InputError(
                    f"{question.where}: expected question {question.id} in {root / self.annotations}, got none; "
                    "get both files again"
                )
            return target

        samples = read_samples(root / self.questions, root, find_target, numbered=True, annotated=True)
        if len(samples) == self.size and len(targets) != self.size:
            raise InputError(
                f"{root / self.annotations}: expected answers to {self.size} questions, got {len(targets)}; get it and "
                f"{root / self.questions} again, or name the difference with --allow-size"
            )
        return samples

    def scorer(self) -> Scorer:
        return anls()

    def submission(self, predictions: Sequence[Prediction], samples: Sequence[Sample], folder: Path) -> None:
        rows = [
            {
                "question": show_question(sample),
                "questionId": sample.info["question_id"],
                "answer": prediction.text,
                "annotation": sample.info["annotation"],
            }
            for prediction, sample in pair(predictions, samples)
        ]
        write_submission(folder, rows, RESULT, wanted=[sample.info["question_id"] for sample in samples])


@dataclass(frozen=True)
class DocVQATest(Benchmark):
    """A test set."""

    questions: str = "data/docvqa/test.jsonl"

    @property
    def files(self) -> tuple[str, ...]:
        return (self.questions,)

    @property
    def metric(self) -> str:
        return "none (test server)"

    def samples(self, root: Path) -> Sequence[Sample]:
        return read_samples(root / self.questions, root, lambda question: None, numbered=True)

    def scorer(self) -> None:
        return None

    def submission(self, predictions: Sequence[Prediction], samples: Sequence[Sample], folder: Path) -> None:
        rows = [{"questionId": s.info["question_id"], "answer": p.text} for p, s in pair(predictions, samples)]
        write_submission(folder, rows, UPLOAD, wanted=[sample.info["question_id"] for sample in samples])


def read_anls_targets(path: Path) -> dict[str, ANLSTarget]:
    """The right answers by question id, with the types that the annotation has.

    Raises:
        InputError: another layout, no right answer, or a question twice.
    """
    content = read_json(path)
    rows = content.get("data") if isinstance(content, dict) else None
    if not isinstance(rows, list) or "dataset_name" not in content:
        raise InputError(f"{path}: expected an object with `dataset_name` and `data`, got another; get the file again")
    targets: dict[str, ANLSTarget] = {}
    for number, row in enumerate(rows, 1):
        answers = row.get("answers") if isinstance(row, dict) else None
        if not isinstance(answers, list) or not is_id(row.get("questionId")) or not _are_texts(answers):
            raise InputError(
                f"{path}: expected `questionId` and `answers` in entry {number}, got {str(row)[:80]}; "
                "get the file again"
            )
        for kind in _TYPES:
            if row.get(kind) is not None and not _are_texts(row[kind]):
                raise InputError(
                    f"{path}: expected a list of texts as {kind} in entry {number}, got {str(row[kind])[:80]}; "
                    "get the file again"
                )
        key = str(row["questionId"])
        if key in targets or not answers:
            rule = "at least one answer" if not answers else "unique questions"
            raise InputError(f"{path}: expected {rule}, got question {key} in entry {number}; get the file again")
        targets[key] = ANLSTarget(tuple(answers), list_groups(row))
    return targets


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(text, str) for text in value)


def list_groups(row: Mapping[str, Any]) -> tuple[str, ...]:
    """The groups of an annotation, as the scoring script calls them."""
    return tuple(f"{kind}={names.get(value, value)}" for kind, names in _TYPES.items() for value in row.get(kind) or ())


_DIFFERENCES = {
    "lmms-eval": "the same rule; answers have 32 tokens instead of 100.",
    "VLMEvalKit": "an equal rule.",
}
_CODE = "InternVL v1.2.2 `infographicsvqa_eval.py`"
_DOCUMENTS = "https://datasets.cvc.uab.es/rrc/DocVQA"
_MIRROR = "https://huggingface.co/OpenGVLab/InternVL/resolve/main"
_INFOGRAPHICS = "# pictures and answers: https://rrc.cvc.uab.es/?ch=17 (registration), into data/infographicsvqa"

BENCHMARKS = [
    DocVQA(
        "vqa-docvqa-val",
        title="DocVQA",
        split="val",
        size=5349,
        generation=Generation(max_new_tokens=100),
        parity=Parity(_CODE, ("prompts", "anls"), V1_2, differences=_DIFFERENCES),
        preparation=(
            "mkdir -p data/docvqa && cd data/docvqa",
            f"wget {_DOCUMENTS}/val.tar.gz && tar xzf val.tar.gz  # or docvqa.org (registration)",
            f"wget {CONVERTED}/docvqa/val.jsonl",
        ),
    ),
    DocVQATest(
        "vqa-docvqa-test",
        title="DocVQA",
        split="test",
        size=5188,
        generation=Generation(max_new_tokens=100),
        parity=Parity("InternVL v1.2.2 `evaluate_vqa.py`", ("prompts",), V1_2, differences=_DIFFERENCES),
        preparation=(
            "mkdir -p data/docvqa && cd data/docvqa",
            f"wget {_DOCUMENTS}/test.tar.gz && tar xzf test.tar.gz  # or docvqa.org (registration)",
            f"wget {CONVERTED}/docvqa/test.jsonl",
        ),
    ),
    DocVQA(
        "vqa-infovqa-val",
        title="InfographicVQA",
        split="val",
        size=2801,
        protocol="internvl-later",
        generation=Generation(max_new_tokens=100),
        parity=Parity(
            _CODE,
            ("prompts", "anls"),
            V1_2,
            variant="a task of 2025 only; prompt and rule are already those of v1.2.2",
            differences=_DIFFERENCES,
        ),
        questions="data/infographicsvqa/val.jsonl",
        annotations="data/infographicsvqa/infographicsVQA_val_v1.0_withQT.json",
        preparation=(
            "mkdir -p data/infographicsvqa && cd data/infographicsvqa",
            f"wget {_MIRROR}/infographicsvqa_val.jsonl -O val.jsonl",
            _INFOGRAPHICS,
        ),
    ),
    DocVQATest(
        "vqa-infovqa-test",
        title="InfographicVQA",
        split="test",
        size=3288,
        protocol="internvl-later",
        generation=Generation(max_new_tokens=100),
        parity=Parity(
            "InternVL v1.2.2 `evaluate_vqa.py`",
            ("prompts",),
            V1_2,
            variant="a task of 2025 only; prompt and rule are already those of v1.2.2",
            differences=_DIFFERENCES,
        ),
        questions="data/infographicsvqa/test.jsonl",
        preparation=(
            "mkdir -p data/infographicsvqa && cd data/infographicsvqa",
            f"wget {_MIRROR}/infographicsvqa_test.jsonl -O test.jsonl",
            _INFOGRAPHICS,
        ),
    ),
]
