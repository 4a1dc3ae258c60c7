"""AI2D test: questions about diagrams of school books, each with its options in the question.

Data: docs/data/vqa-ai2d-test.md. Rule: exact match with the text of the option. In InternVL of 2025 the questions are
others, whole prompts that ask for a letter, about pictures with masked labels: `vqa-ai2d-test-later`, whose numbers
cannot be compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from evaluate.answered_questions import AnsweredQuestions
from evaluate.benchmark import LATER, V1_2, Parity
from evaluate.questions import CONVERTED, show_question
from evaluate.sample import Generation, Prediction, Sample
from evaluate.submission import Layout, pair, write_submission

PROMPT = "Please answer the question based on the options mentioned before."
RESULT = Layout({"question": str, "image": object, "answer": str, "annotation": object}, key="image")
"""The published result file; its `image` is the id of the question."""
_MIRROR = "https://huggingface.co/OpenGVLab/InternVL/resolve/main"


@dataclass(frozen=True)
class AI2D(AnsweredQuestions):
    """The test set."""

    def submission(self, predictions: Sequence[Prediction], samples: Sequence[Sample], folder: Path) -> None:
        rows = [
            {
                "question": show_question(sample),
                "image": sample.info["question_id"],
                "answer": prediction.text,
                "annotation": sample.info["annotation"],
            }
            for prediction, sample in pair(predictions, samples)
        ]
        write_submission(folder, rows, RESULT)


_DIFFERENCES = {
    "lmms-eval": "asks for a letter instead of the text of an option.",
    "VLMEvalKit": (
        "`AI2D_TEST` asks for a letter and masks the labels in the pictures, as the questions of 2025 do; pictures "
        "without masks are a task of their own."
    ),
}
BENCHMARKS = [
    AI2D(
        "vqa-ai2d-test",
        title="AI2D",
        split="test",
        size=3088,
        generation=Generation(max_new_tokens=10),
        groups=("vqa",),
        parity=Parity("InternVL v1.2.2 `evaluate_vqa.py`", ("prompts", "exact_match"), V1_2, differences=_DIFFERENCES),
        questions="data/ai2diagram/test.jsonl",
        prompt=PROMPT,
        preparation=(
            "mkdir -p data/ai2diagram && cd data/ai2diagram",
            "wget https://ai2-public-datasets.s3.amazonaws.com/diagrams/ai2d-all.zip && unzip ai2d-all.zip",
            f"wget {CONVERTED}/ai2diagram/test.jsonl",
        ),
    ),
    AI2D(
        "vqa-ai2d-test-later",
        title="AI2D, 2025",
        split="test",
        size=3088,
        protocol="internvl-later",
        generation=Generation(max_new_tokens=10),
        parity=Parity(
            "InternVL of September 2025 `evaluate_vqa.py`",
            ("prompts", "exact_match"),
            LATER,
            variant="other questions, which ask for a letter, and masked labels; no prompt behind them",
            differences=_DIFFERENCES,
        ),
        questions="data/ai2diagram/test_vlmevalkit.jsonl",
        prompt="",
        preparation=(
            "mkdir -p data/ai2diagram && cd data/ai2diagram",
            f"wget {_MIRROR}/ai2d_test_vlmevalkit.jsonl -O test_vlmevalkit.jsonl",
            f"wget {_MIRROR}/AI2D_TEST.zip && unzip AI2D_TEST.zip",
        ),
    ),
]
