"""GQA test-dev: questions about things in pictures and how they relate, made from scene graphs.

Data: docs/data/vqa-gqa-testdev.md. Rule: that of the GQA authors' script, whose input is written beside the scores. Its
blocks for consistency, validity, plausibility and grounding need files that do not exist for test-dev.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaluate.benchmark import V1_2, Benchmark, Parity
from evaluate.jsonl import read_json
from evaluate.questions import RELEASES, Question, read_samples
from evaluate.sample import Generation, Prediction, Sample
from evaluate.scorer import Scorer
from evaluate.scorers.gqa import GQATarget, convert, count_steps, gqa
from evaluate.submission import Layout, pair, write_submission
from internvl.errors import InputError

SCRIPT = Layout({"questionId": str, "prediction": str}, key="questionId")
"""What the script of the GQA authors takes."""


@dataclass(frozen=True)
class GQA(Benchmark):
    """The converted questions, and the published ones with their answers."""

    questions: str = "data/gqa/llava_gqa_testdev_balanced_qwen_format.jsonl"
    annotations: str = "data/gqa/testdev_balanced_questions.json"

    @property
    def files(self) -> tuple[str, ...]:
        return self.questions, self.annotations

    @property
    def metric(self) -> str:
        return "accuracy"

    def samples(self, root: Path) -> Sequence[Sample]:
        path = root / self.annotations
        rows = read_json(path)
        if not isinstance(rows, dict):
            raise InputError(f"{path}: expected an object with questions by id, got another; get the file again")

        def find_target(question: Question) -> GQATarget:
            if (row := rows.get(str(question.id))) is None:
                raise InputError(
                    f"{question.where}: expected question {question.id} in {path}, got none; get both files again"
                )
            return read_gqa_target(row, f"{path}: question {question.id}")

        return read_samples(root / self.questions, root, find_target)

    def scorer(self) -> Scorer:
        return gqa()

    def submission(self, predictions: Sequence[Prediction], samples: Sequence[Sample], folder: Path) -> None:
        rows = [{"questionId": s.id, "prediction": convert(p.text)} for p, s in pair(predictions, samples)]
        write_submission(folder, rows, SCRIPT, wanted=[sample.id for sample in samples])


def read_gqa_target(row: Any, where: str) -> GQATarget:
    """The target of a published question.

    Raises:
        InputError: another layout.
    """
    try:
        types = row["types"]
        texts = (row["answer"], row["question"], types["structural"], types["semantic"])
        if not isinstance(row["isBalanced"], bool) or not all(isinstance(text, str) for text in texts):
            raise TypeError(f"another kind of value: {str(row)[:80]}")
        if not isinstance(row["semantic"], list):
            raise TypeError(f"no list as semantic: {str(row['semantic'])[:80]}")
        return GQATarget(
            answer=row["answer"],
            balanced=row["isBalanced"],
            structural=types["structural"],
            semantic=types["semantic"],
            detailed=types.get("detailed") or "",
            num_words=len(row["question"].split()),
            num_steps=count_steps(row["semantic"]),
            group=(row.get("groups") or {}).get("global"),
        )
    except (AttributeError, KeyError, TypeError) as error:
        raise InputError(
            f"{where}: expected answer, isBalanced, types, question and semantic, got {type(error).__name__} {error}; "
            "get the file again"
        ) from None


_DIFFERENCES = {
    "lmms-eval": "exact match, where neither case nor punctuation counts.",
    "VLMEvalKit": "exact match.",
}
BENCHMARKS = [
    GQA(
        "vqa-gqa-testdev",
        title="GQA",
        split="test-dev",
        size=12_578,
        generation=Generation(max_new_tokens=10),
        groups=("vqa",),
        parity=Parity(
            "GQA authors' `eval.py` as run by InternVL v1.2.2", ("prompts", "gqa"), V1_2, differences=_DIFFERENCES
        ),
        preparation=(
            "mkdir -p data/gqa && cd data/gqa",
            "wget https://downloads.cs.stanford.edu/nlp/data/gqa/images.zip && unzip images.zip",
            "wget https://downloads.cs.stanford.edu/nlp/data/gqa/questions1.2.zip",
            "unzip questions1.2.zip testdev_balanced_questions.json",
            f"wget {RELEASES}/llava_gqa_testdev_balanced_qwen_format.jsonl",
        ),
    ),
]
